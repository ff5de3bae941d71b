// SPDX-License-Identifier: GPL-2.0-only
/*
 * Ends of handshakes that the host's end does not give.
 *
 * passt, as Debian 12 has it, does not answer a SYN,ACK before its client has
 * said something. Where the server speaks first, both would wait for ever. Its
 * end of the connection is established when it has read the SYN,ACK, so the
 * answer is given here: one more is of no harm. But it must not find the
 * server's first words together with the SYN,ACK, for that it loops for ever:
 * so a probe goes out behind the SYN,ACK, and the answer waits for its own.
 */

#include <linux/if_arp.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/tcp.h>
#include <net/ip.h>
#include "hostnet.h"

/* The window of an ACK that is made up, not scaled: a beginning, the host's end tells the true one */
#define ACK_WINDOW	512
/* The first byte of addresses that probes ask for: reserved, nobody has them */
#define PROBE_NET	240

/* The headers of a TCP segment without options of IP, but for its options of TCP */
struct hostnet_segment {
	struct ethhdr eth;
	union {
		struct {
			struct iphdr ip;
			struct tcphdr tcp;
		} __packed v4;
		struct {
			struct ipv6hdr ip;
			struct tcphdr tcp;
		} __packed v6;
	};
} __packed;

/* An ARP request or reply */
struct hostnet_arp {
	struct ethhdr eth;
	struct arphdr head;
	u8 sender[ETH_ALEN];
	u8 sender_ip[4];
	u8 target[ETH_ALEN];
	u8 target_ip[4];
} __packed;

/* The TCP header of a frame that accepts a connection; @size: of all headers up to its end */
static struct tcphdr *hostnet_accepts(const struct sk_buff *skb, struct hostnet_segment *segment,
				      unsigned int *size)
{
	struct tcphdr *tcp;

	*size = offsetofend(struct hostnet_segment, v4.tcp);
	if (skb->len < *size || skb->len > sizeof(*segment) + MAX_TCP_OPTION_SPACE)
		return NULL;
	skb_copy_bits(skb, 0, segment, min_t(unsigned int, skb->len, sizeof(*segment)));
	if (segment->eth.h_proto == htons(ETH_P_IP) && segment->v4.ip.ihl == 5 &&
	    segment->v4.ip.protocol == IPPROTO_TCP) {
		tcp = &segment->v4.tcp;
	} else if (segment->eth.h_proto == htons(ETH_P_IPV6) && skb->len >= sizeof(*segment) &&
		   segment->v6.ip.nexthdr == IPPROTO_TCP) {
		tcp = &segment->v6.tcp;
		*size = sizeof(*segment);
	} else {
		return NULL;
	}
	return tcp->syn && tcp->ack ? tcp : NULL;
}

/* Makes the answer to such a frame of its headers */
static void hostnet_turn(struct hostnet_segment *segment, struct tcphdr *tcp)
{
	u8 dest[ETH_ALEN];
	__be32 seq = tcp->ack_seq;

	ether_addr_copy(dest, segment->eth.h_dest);
	ether_addr_copy(segment->eth.h_dest, segment->eth.h_source);
	ether_addr_copy(segment->eth.h_source, dest);
	tcp->ack_seq = htonl(ntohl(tcp->seq) + 1);
	tcp->seq = seq;
	tcp->syn = 0;
	tcp->doff = sizeof(*tcp) / 4;
	tcp->window = htons(ACK_WINDOW);
	swap(tcp->source, tcp->dest);
	if (tcp == &segment->v4.tcp) {
		swap(segment->v4.ip.saddr, segment->v4.ip.daddr);
		segment->v4.ip.tot_len = htons(sizeof(segment->v4));
		ip_send_check(&segment->v4.ip);
	} else {
		swap(segment->v6.ip.saddr, segment->v6.ip.daddr);
		segment->v6.ip.payload_len = htons(sizeof(*tcp));
	}
}

/* Sends an ARP probe whose answer brings @slot and @turn back */
static void hostnet_probe(struct hostnet *net, u8 slot, u8 turn)
{
	struct hostnet_arp arp = {
		.eth.h_proto = htons(ETH_P_ARP),
		.head = { htons(ARPHRD_ETHER), htons(ETH_P_IP), ETH_ALEN, 4, htons(ARPOP_REQUEST) },
		.target_ip = { PROBE_NET, 0, turn, slot },
	};

	eth_broadcast_addr(arp.eth.h_dest);
	ether_addr_copy(arp.eth.h_source, net->dev->dev_addr);
	ether_addr_copy(arp.sender, net->dev->dev_addr);
	hostnet_put(net, &arp, sizeof(arp));
}

/**
 * hostnet_ack_later() - answers a frame that accepts a connection, if it is one
 * @net:	the device
 * @accepting:	goes out
 */
void hostnet_ack_later(struct hostnet *net, const struct sk_buff *accepting)
{
	struct hostnet_segment segment;
	unsigned int size;
	struct tcphdr *tcp = hostnet_accepts(accepting, &segment, &size);
	struct sk_buff *skb = tcp ? netdev_alloc_skb_ip_align(net->dev, size) : NULL;
	u8 slot;

	if (!skb)
		return;
	hostnet_turn(&segment, tcp);
	skb_put_data(skb, &segment, size);
	net->ack_turn++;
	slot = net->ack_turn % ACKS;
	/* One that is there still waits for a probe that was lost */
	dev_kfree_skb_any(xchg(&net->acks[slot], skb));
	hostnet_probe(net, slot, net->ack_turn / ACKS);
	net->ack_turns[slot] = net->ack_turn / ACKS;
}

/**
 * hostnet_ack_now() - takes the answer to a probe, and lets what waited for it go
 * @net:	the device
 * @frame:	comes in
 * @size:	in bytes
 *
 * Returns: whether it was one.
 */
bool hostnet_ack_now(struct hostnet *net, const void *frame, unsigned int size)
{
	const struct hostnet_arp *arp = frame;
	struct sk_buff *skb;
	u8 slot;

	if (size < sizeof(*arp) || arp->eth.h_proto != htons(ETH_P_ARP) ||
	    arp->head.ar_op != htons(ARPOP_REPLY) || arp->sender_ip[0] != PROBE_NET)
		return false;
	slot = arp->sender_ip[3] % ACKS;
	if (arp->sender_ip[2] != net->ack_turns[slot])
		return true;
	skb = xchg(&net->acks[slot], NULL);
	if (skb) {
		skb->protocol = eth_type_trans(skb, net->dev);
		skb->ip_summed = CHECKSUM_UNNECESSARY;
		napi_gro_receive(&net->napi, skb);
	}
	return true;
}
