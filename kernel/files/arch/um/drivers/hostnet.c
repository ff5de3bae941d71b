// SPDX-License-Identifier: GPL-2.0-only
/*
 * Ethernet over descriptors that User-Mode Linux was started with.
 *
 * hostnet.fds=6:stream,7:packet on the command line lists the host
 * descriptors; each becomes eth0, eth1, ... in that order. The framing is one of
 *
 *	stream	a 4 byte big endian length before each frame, on a stream
 *		socket. The other end is a program on this host which neither
 *		looks at checksums nor sends frames with wrong ones, as passt.
 *		Handshakes that it begins are completed here, see
 *		hostnet_ack_later().
 *	packet	a struct virtio_net_hdr before each frame, one frame a read
 *		or write: a packet socket with PACKET_VNET_HDR, a tap with
 *		IFF_VNET_HDR.
 *
 * Only read() and write() are asked of the host. A stream whose framing is
 * broken ends the device, and nothing else.
 *
 * Frames from the host are read into large pages, many at once, and big ones
 * stay there: their buffers refer to the page. A page is read into again when
 * nobody refers to it; while there is none, frames are copied.
 */

#include <linux/etherdevice.h>
#include <linux/if_arp.h>
#include <linux/gfp.h>
#include <linux/init.h>
#include <linux/interrupt.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/module.h>
#include <linux/netdevice.h>
#include <linux/skbuff.h>
#include <linux/slab.h>
#include <linux/tcp.h>
#include <linux/unaligned.h>
#include <linux/virtio_net.h>
#include <net/ip.h>
#include <irq_kern.h>
#include <os.h>

#define HOSTNET_MAX	8
#define STREAM_HEAD	((unsigned int)sizeof(__be32))
#define PACKET_HEAD	((unsigned int)sizeof(struct virtio_net_hdr))
#define FRAME_MAX	(GSO_LEGACY_MAX_SIZE + VLAN_ETH_HLEN)

/* What one read may bring */
#define IN_ORDER	6
#define IN_SIZE		(PAGE_SIZE << IN_ORDER)
#define IN_PAGES	8
/* Shorter frames are copied whole, of others the headers are */
#define COPY_MAX	1024
#define COPY_HEAD	256

/* Frames that wait for the host */
#define OUT_SIZE	(256 * 1024)
#define OUT_TOGETHER	(32 * 1024)
#define OUT_FRAME_MAX	(FRAME_MAX + PACKET_HEAD)

/* The window of an ACK that is made up, not scaled: a beginning, the host's end tells the true one */
#define ACK_WINDOW	512
/* How many of them may wait */
#define ACKS		64
/* The first byte of addresses that probes ask for: reserved, nobody has them */
#define PROBE_NET	240

/**
 * struct hostnet - one device
 * @dev: the network device
 * @napi: reads, and writes what was held up
 * @fd: host descriptor
 * @packet: the framing is packet, else stream
 * @ended: the host's end is gone, or broke the framing
 * @blocked: the host takes no more for now
 * @irq_in: there is something to read
 * @irq_out: there is room to write
 * @in: the page that is read into
 * @in_start: first byte in it that was not yet delivered
 * @in_end: behind the last byte that was read
 * @pages: pages that are read into in turn; made at first use
 * @copied: the page for when those are all in use; nothing refers to it
 * @out: what the host did not take yet
 * @out_start: first byte in it
 * @out_end: behind the last byte in it
 * @out_cut: how much is left of a frame that the host took a part of
 * @acks: ends of handshakes that wait until the host's end has read their middle
 * @ack_turns: which round of @acks each is of
 * @ack_turn: counts them
 */
struct hostnet {
	struct net_device *dev;
	struct napi_struct napi;
	int fd;
	bool packet;
	bool ended;
	bool blocked;
	int irq_in;
	int irq_out;
	struct page *in;
	unsigned int in_start;
	unsigned int in_end;
	struct page *pages[IN_PAGES];
	struct page *copied;
	void *out;
	unsigned int out_start;
	unsigned int out_end;
	unsigned int out_cut;
	struct sk_buff *acks[ACKS];
	u8 ack_turns[ACKS];
	u16 ack_turn;
};

static char *hostnet_fds[HOSTNET_MAX];
static int hostnet_count;
module_param_array_named(fds, hostnet_fds, charp, &hostnet_count, 0400);
MODULE_PARM_DESC(fds, "host file descriptors that become network devices, FD:stream or FD:packet");

static void hostnet_end(struct hostnet *net, const char *why)
{
	net->ended = true;
	netif_carrier_off(net->dev);
	netdev_warn(net->dev, "%s: the device is of no more use\n", why);
}

/* To the host */

/*
 * How much goes with one write: the rest of a frame that was cut, or one frame,
 * or several small ones. The host cuts writes to a stream socket where they are
 * larger than this, and passt does not find together what comes in three parts.
 */
static unsigned int hostnet_next(struct hostnet *net)
{
	unsigned int size = net->out_cut, next;

	if (net->packet)
		return net->out_end - net->out_start;
	while (!net->out_cut && net->out_start + size < net->out_end) {
		next = STREAM_HEAD + get_unaligned_be32(net->out + net->out_start + size);
		if (size && size + next > OUT_TOGETHER)
			break;
		size += next;
	}
	return size;
}

/* Writes what waits; the caller holds the queue's lock */
static void hostnet_flush(struct hostnet *net)
{
	unsigned int size;
	int n;

	while (net->out_start < net->out_end && !net->ended) {
		size = hostnet_next(net);
		n = os_write_file(net->fd, net->out + net->out_start, size);
		if (n == -EINTR)
			continue;
		if (n == -EAGAIN) {
			net->blocked = true;
			return;
		}
		if (net->packet) {
			if (n < 0)
				DEV_STATS_INC(net->dev, tx_dropped);
			break;
		}
		if (n <= 0) {
			hostnet_end(net, "the host's end takes no more");
			break;
		}
		net->out_start += n;
		net->out_cut = size - n;
	}
	net->blocked = false;
	net->out_start = 0;
	net->out_end = 0;
}

/* Whether another frame has room, which it may have to be made */
static bool hostnet_has_room(struct hostnet *net)
{
	if (net->packet)
		return !net->out_end;
	if (OUT_SIZE - net->out_end >= OUT_FRAME_MAX)
		return true;
	if (OUT_SIZE - (net->out_end - net->out_start) < OUT_FRAME_MAX)
		return false;
	memmove(net->out, net->out + net->out_start, net->out_end - net->out_start);
	net->out_end -= net->out_start;
	net->out_start = 0;
	return true;
}

static int hostnet_put_head(struct hostnet *net, struct sk_buff *skb)
{
	void *head = net->out + net->out_end;

	if (!net->packet) {
		put_unaligned_be32(skb->len, head);
		return STREAM_HEAD;
	}
	if (virtio_net_hdr_from_skb(skb, head, virtio_legacy_is_little_endian(), false, 0))
		return -EINVAL;
	return PACKET_HEAD;
}

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
	void *out = net->out + net->out_end;

	eth_broadcast_addr(arp.eth.h_dest);
	ether_addr_copy(arp.eth.h_source, net->dev->dev_addr);
	ether_addr_copy(arp.sender, net->dev->dev_addr);
	put_unaligned_be32(sizeof(arp), out);
	memcpy(out + STREAM_HEAD, &arp, sizeof(arp));
	net->out_end += STREAM_HEAD + sizeof(arp);
}

/*
 * passt, as Debian 12 has it, does not answer a SYN,ACK before its client has
 * said something. Where the server speaks first, both would wait for ever. Its
 * end of the connection is established when it has read the SYN,ACK, so the
 * answer is given here: one more is of no harm. But it must not find the
 * server's first words together with the SYN,ACK, for that it loops for ever:
 * so a probe goes out behind the SYN,ACK, and the answer waits for its own.
 */
static void hostnet_ack_later(struct hostnet *net, const struct sk_buff *accepting)
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

/* Takes the answer to a probe, and lets what waited for it go; whether it was one */
static bool hostnet_ack_now(struct hostnet *net, const void *frame, unsigned int size)
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

static netdev_tx_t hostnet_start_xmit(struct sk_buff *skb, struct net_device *dev)
{
	struct hostnet *net = netdev_priv(dev);
	int head = -EMSGSIZE;

	if (!net->ended && skb->len <= FRAME_MAX)
		head = hostnet_put_head(net, skb);
	if (head < 0 || skb_copy_bits(skb, 0, net->out + net->out_end + head, skb->len)) {
		DEV_STATS_INC(dev, tx_dropped);
	} else {
		dev_sw_netstats_tx_add(dev, 1, skb->len);
		net->out_end += head + skb->len;
		if (!net->packet)
			hostnet_ack_later(net, skb);
	}
	if (!net->blocked && (net->packet || !netdev_xmit_more() || !hostnet_has_room(net)))
		hostnet_flush(net);
	if (!hostnet_has_room(net))
		netif_stop_queue(dev);
	dev_consume_skb_any(skb);
	return NETDEV_TX_OK;
}

/* The host may take more again */
static void hostnet_go_on(struct hostnet *net)
{
	struct netdev_queue *queue = netdev_get_tx_queue(net->dev, 0);

	__netif_tx_lock(queue, smp_processor_id());
	hostnet_flush(net);
	if (hostnet_has_room(net) && netif_tx_queue_stopped(queue))
		netif_tx_wake_queue(queue);
	__netif_tx_unlock(queue);
}

/* From the host */

static struct page *hostnet_new_page(void)
{
	return alloc_pages(GFP_ATOMIC | __GFP_COMP | __GFP_NOWARN | __GFP_NORETRY, IN_ORDER);
}

/* A page that nobody refers to; the one for copies where there is no other */
static struct page *hostnet_free_page(struct hostnet *net)
{
	int i;

	for (i = 0; i < IN_PAGES; i++) {
		if (!net->pages[i])
			net->pages[i] = hostnet_new_page();
		if (net->pages[i] && net->pages[i] != net->in && page_ref_count(net->pages[i]) == 1)
			return net->pages[i];
	}
	return net->copied;
}

/* Makes room for @need bytes from in_start on */
static void hostnet_make_room(struct hostnet *net, unsigned int need)
{
	unsigned int left = net->in_end - net->in_start;
	struct page *page = net->in;

	if (page == net->copied && !left)
		page = hostnet_free_page(net);
	else if (net->in_start + need <= IN_SIZE && (left || page_ref_count(page) > 1))
		return;
	else if (page_ref_count(page) > 1)
		page = hostnet_free_page(net);
	/* What is left may overlap with its new place */
	memmove(page_address(page), page_address(net->in) + net->in_start, left);
	net->in = page;
	net->in_start = 0;
	net->in_end = left;
}

/* The rest of a frame, whose first bytes are in @skb: by reference, or copied */
static bool hostnet_add_rest(struct hostnet *net, struct sk_buff *skb, unsigned int offset,
			     unsigned int size)
{
	unsigned int part;
	struct page *page;

	if (net->in != net->copied) {
		get_page(net->in);
		skb_add_rx_frag(skb, 0, net->in, offset, size, size);
		return true;
	}
	for (; size; size -= part, offset += part) {
		part = min_t(unsigned int, size, PAGE_SIZE);
		page = skb_shinfo(skb)->nr_frags < MAX_SKB_FRAGS ? alloc_page(GFP_ATOMIC) : NULL;
		if (!page)
			return false;
		memcpy(page_address(page), page_address(net->in) + offset, part);
		skb_add_rx_frag(skb, skb_shinfo(skb)->nr_frags, page, 0, part, PAGE_SIZE);
	}
	return true;
}

static void hostnet_deliver(struct hostnet *net, unsigned int offset, unsigned int size,
			    const struct virtio_net_hdr *header)
{
	unsigned int head = size <= COPY_MAX ? size : COPY_HEAD;
	struct net_device *dev = net->dev;
	struct sk_buff *skb;

	if (!header && hostnet_ack_now(net, page_address(net->in) + offset, size))
		return;
	skb = napi_alloc_skb(&net->napi, head);
	if (!skb) {
		DEV_STATS_INC(dev, rx_dropped);
		return;
	}
	skb_put_data(skb, page_address(net->in) + offset, head);
	if (size > head && !hostnet_add_rest(net, skb, offset + head, size - head)) {
		DEV_STATS_INC(dev, rx_dropped);
		dev_kfree_skb_any(skb);
		return;
	}
	skb->protocol = eth_type_trans(skb, dev);
	if (!header || (header->flags & VIRTIO_NET_HDR_F_DATA_VALID))
		skb->ip_summed = CHECKSUM_UNNECESSARY;
	if (header && virtio_net_hdr_to_skb(skb, header, virtio_legacy_is_little_endian())) {
		DEV_STATS_INC(dev, rx_frame_errors);
		dev_kfree_skb_any(skb);
		return;
	}
	dev_sw_netstats_rx_add(dev, size);
	napi_gro_receive(&net->napi, skb);
}

/* One read. Whether it brought anything; @drained: whether there is no more */
static bool hostnet_read(struct hostnet *net, unsigned int size, bool *drained)
{
	int n;

	do {
		n = os_read_file(net->fd, page_address(net->in) + net->in_end, size);
	} while (n == -EINTR);
	*drained = n < 0 || (!net->packet && n < size);
	if (n > 0)
		net->in_end += n;
	else if (n != -EAGAIN && !net->packet)
		hostnet_end(net, "the host's end has gone");
	else if (n != -EAGAIN && n < 0 && n != -ENETDOWN)
		hostnet_end(net, "the host's interface has gone");
	return n > 0;
}

static int hostnet_poll_packets(struct hostnet *net, int budget)
{
	struct virtio_net_hdr header;
	bool drained = false;
	unsigned int size;
	int done = 0;

	while (done < budget && !drained && !net->ended) {
		hostnet_make_room(net, OUT_FRAME_MAX);
		if (!hostnet_read(net, OUT_FRAME_MAX, &drained) && drained)
			break;
		done++;
		size = net->in_end - net->in_start;
		if (size < PACKET_HEAD + ETH_HLEN) {
			DEV_STATS_INC(net->dev, rx_length_errors);
		} else {
			memcpy(&header, page_address(net->in) + net->in_start, PACKET_HEAD);
			hostnet_deliver(net, net->in_start + PACKET_HEAD, size - PACKET_HEAD,
					&header);
		}
		net->in_start = net->in_end;
	}
	return done;
}

/* Whole frames that were read; @need: what the next one takes with its length */
static int hostnet_take_frames(struct hostnet *net, int budget, unsigned int *need)
{
	unsigned int size;
	int done = 0;

	while (done < budget) {
		*need = STREAM_HEAD;
		if (net->in_end - net->in_start < *need)
			break;
		size = get_unaligned_be32(page_address(net->in) + net->in_start);
		if (size < ETH_HLEN || size > FRAME_MAX) {
			hostnet_end(net, "the host's end sent a wrong length");
			break;
		}
		*need += size;
		if (net->in_end - net->in_start < *need)
			break;
		hostnet_deliver(net, net->in_start + STREAM_HEAD, size, NULL);
		net->in_start += *need;
		done++;
	}
	return done;
}

static int hostnet_poll_stream(struct hostnet *net, int budget)
{
	bool drained = false;
	unsigned int need;
	int done = 0;

	while (!net->ended) {
		done += hostnet_take_frames(net, budget - done, &need);
		if (done >= budget || drained || net->ended)
			break;
		/* Not the last few bytes of a page: a read brings many frames */
		hostnet_make_room(net, max(need, OUT_FRAME_MAX));
		hostnet_read(net, IN_SIZE - net->in_end, &drained);
	}
	return done;
}

static int hostnet_poll(struct napi_struct *napi, int budget)
{
	struct hostnet *net = container_of(napi, struct hostnet, napi);
	int done = 0;

	if (net->blocked)
		hostnet_go_on(net);
	if (budget && net->packet)
		done = hostnet_poll_packets(net, budget);
	else if (budget)
		done = hostnet_poll_stream(net, budget);
	if (done < budget)
		napi_complete_done(napi, done);
	return done;
}

/* The device */

static irqreturn_t hostnet_readable(int irq, void *data)
{
	struct hostnet *net = netdev_priv(data);

	napi_schedule(&net->napi);
	return IRQ_HANDLED;
}

static irqreturn_t hostnet_writable(int irq, void *data)
{
	struct hostnet *net = netdev_priv(data);

	if (net->blocked)
		napi_schedule(&net->napi);
	return IRQ_HANDLED;
}

static int hostnet_open(struct net_device *dev)
{
	struct hostnet *net = netdev_priv(dev);

	napi_enable(&net->napi);
	net->irq_in = um_request_irq(UM_IRQ_ALLOC, net->fd, IRQ_READ, hostnet_readable, 0,
				     "hostnet", dev);
	if (net->irq_in < 0) {
		napi_disable(&net->napi);
		return net->irq_in;
	}
	net->irq_out = um_request_irq(UM_IRQ_ALLOC, net->fd, IRQ_WRITE, hostnet_writable, 0,
				      "hostnet", dev);
	if (net->irq_out < 0) {
		um_free_irq(net->irq_in, dev);
		napi_disable(&net->napi);
		return net->irq_out;
	}
	if (!net->ended)
		netif_carrier_on(dev);
	netif_start_queue(dev);
	/* What came before anybody listened */
	local_bh_disable();
	napi_schedule(&net->napi);
	local_bh_enable();
	return 0;
}

static int hostnet_stop(struct net_device *dev)
{
	struct hostnet *net = netdev_priv(dev);

	netif_stop_queue(dev);
	um_free_irq(net->irq_out, dev);
	um_free_irq(net->irq_in, dev);
	napi_disable(&net->napi);
	return 0;
}

static const struct net_device_ops hostnet_ops = {
	.ndo_open = hostnet_open,
	.ndo_stop = hostnet_stop,
	.ndo_start_xmit = hostnet_start_xmit,
	.ndo_set_mac_address = eth_mac_addr,
	.ndo_validate_addr = eth_validate_addr,
};

static void hostnet_describe(struct net_device *dev, bool packet)
{
	dev->netdev_ops = &hostnet_ops;
	dev->min_mtu = ETH_MIN_MTU;
	dev->max_mtu = FRAME_MAX - VLAN_ETH_HLEN;
	dev->pcpu_stat_type = NETDEV_PCPU_STAT_TSTATS;
	dev->hw_features = NETIF_F_SG | NETIF_F_FRAGLIST | NETIF_F_HW_CSUM | NETIF_F_RXCSUM;
	if (packet)
		dev->hw_features |= NETIF_F_TSO | NETIF_F_TSO6 | NETIF_F_TSO_ECN;
	dev->features = dev->hw_features;
	eth_hw_addr_random(dev);
}

static int hostnet_add(int fd, bool packet)
{
	struct net_device *dev = alloc_etherdev(sizeof(struct hostnet));
	struct hostnet *net;
	int err = -ENOMEM;

	if (!dev)
		return err;
	net = netdev_priv(dev);
	net->dev = dev;
	net->fd = fd;
	net->packet = packet;
	net->copied = alloc_pages(GFP_KERNEL | __GFP_COMP, IN_ORDER);
	net->in = net->copied;
	net->out = kmalloc(packet ? OUT_FRAME_MAX : OUT_SIZE, GFP_KERNEL);
	if (!net->copied || !net->out)
		goto free;
	hostnet_describe(dev, packet);
	netif_napi_add(dev, &net->napi, hostnet_poll);
	netif_carrier_off(dev);
	err = register_netdev(dev);
	if (!err)
		return 0;
	netif_napi_del(&net->napi);
free:
	kfree(net->out);
	if (net->copied)
		__free_pages(net->copied, IN_ORDER);
	free_netdev(dev);
	return err;
}

/* FD:stream or FD:packet */
static int __init hostnet_parse(const char *text, bool *packet)
{
	char number[12];
	const char *framing = strchr(text, ':');
	int fd;

	if (!framing || framing - text >= sizeof(number))
		return -EINVAL;
	strscpy(number, text, framing - text + 1);
	if (kstrtoint(number, 10, &fd) || fd < 0)
		return -EINVAL;
	*packet = !strcmp(framing, ":packet");
	return *packet || !strcmp(framing, ":stream") ? fd : -EINVAL;
}

static int __init hostnet_init(void)
{
	bool packet;
	int i, fd, err;

	for (i = 0; i < hostnet_count; i++) {
		fd = hostnet_parse(hostnet_fds[i], &packet);
		err = fd < 0 ? fd : hostnet_add(fd, packet);
		if (err) {
			pr_err("hostnet: failed to add '%s': error %d\n", hostnet_fds[i], err);
			return err;
		}
	}
	return 0;
}
device_initcall(hostnet_init);
