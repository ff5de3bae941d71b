// SPDX-License-Identifier: GPL-2.0-only
/* The host network driver: frames to the host. */

#include <linux/slab.h>
#include <linux/unaligned.h>
#include <os.h>
#include "hostnet.h"

#define OUT_SIZE	(256 * 1024)
#define OUT_TOGETHER	(32 * 1024)

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
			hostnet_watch_room(net);
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
	if (OUT_SIZE - net->out_end >= FRAME_ROOM)
		return true;
	if (OUT_SIZE - (net->out_end - net->out_start) < FRAME_ROOM)
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

/*
 * passt takes its guest's address for zeros before it hears of it. Whatever else it
 * hears, it writes into the headers of all of its buffers, which it would otherwise
 * share with others of its kind: hostnet_in.c puts the true one in the place of zeros.
 */
static void hostnet_hide_sender(void *frame)
{
	eth_zero_addr(((struct ethhdr *)frame)->h_source);
}

/**
 * hostnet_put() - a frame of the driver's own, for a stream; the queue's lock is held
 * @net:	the device
 * @frame:	is copied
 * @size:	in bytes: a small one
 */
void hostnet_put(struct hostnet *net, const void *frame, unsigned int size)
{
	void *out = net->out + net->out_end;

	put_unaligned_be32(size, out);
	memcpy(out + STREAM_HEAD, frame, size);
	hostnet_hide_sender(out + STREAM_HEAD);
	net->out_end += STREAM_HEAD + size;
}

netdev_tx_t hostnet_start_xmit(struct sk_buff *skb, struct net_device *dev)
{
	struct hostnet *net = netdev_priv(dev);
	int head = -EMSGSIZE;

	if (!net->ended && skb->len <= FRAME_MAX)
		head = hostnet_put_head(net, skb);
	if (head < 0 || skb_copy_bits(skb, 0, net->out + net->out_end + head, skb->len)) {
		DEV_STATS_INC(dev, tx_dropped);
	} else {
		dev_sw_netstats_tx_add(dev, 1, skb->len);
		if (!net->packet)
			hostnet_hide_sender(net->out + net->out_end + head);
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

/**
 * hostnet_go_on() - writes what waits; the host may take more again
 * @net:	the device
 */
void hostnet_go_on(struct hostnet *net)
{
	struct netdev_queue *queue = netdev_get_tx_queue(net->dev, 0);

	__netif_tx_lock(queue, smp_processor_id());
	hostnet_flush(net);
	if (hostnet_has_room(net) && netif_tx_queue_stopped(queue))
		netif_tx_wake_queue(queue);
	__netif_tx_unlock(queue);
}

int hostnet_out_init(struct hostnet *net)
{
	net->out = kmalloc(net->packet ? FRAME_ROOM : OUT_SIZE, GFP_KERNEL);
	return net->out ? 0 : -ENOMEM;
}
