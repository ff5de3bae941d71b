// SPDX-License-Identifier: GPL-2.0-only
/*
 * The host network driver: frames from the host.
 *
 * They are read into large pages, many at once, and big ones stay there: their
 * buffers refer to the page. A page is read into again when nobody refers to it;
 * while there is none, frames are copied.
 */

#include <linux/gfp.h>
#include <linux/unaligned.h>
#include <os.h>
#include "hostnet.h"

/* What one read may bring */
#define IN_ORDER	6
#define IN_SIZE		(PAGE_SIZE << IN_ORDER)
/* Shorter frames are copied whole, of others the headers are */
#define COPY_MAX	1024
#define COPY_HEAD	256

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
	/* The host's end was not told the true one: see hostnet_out.c */
	if (!header && is_zero_ether_addr(skb->data))
		ether_addr_copy(skb->data, dev->dev_addr);
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
		hostnet_make_room(net, FRAME_ROOM);
		if (!hostnet_read(net, FRAME_ROOM, &drained) && drained)
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
		hostnet_make_room(net, max(need, FRAME_ROOM));
		hostnet_read(net, IN_SIZE - net->in_end, &drained);
	}
	return done;
}

/**
 * hostnet_read_frames() - reads frames, and delivers them
 * @net:	the device
 * @budget:	as many as that
 *
 * Returns: how many there were.
 */
int hostnet_read_frames(struct hostnet *net, int budget)
{
	return net->packet ? hostnet_poll_packets(net, budget) : hostnet_poll_stream(net, budget);
}

int hostnet_in_init(struct hostnet *net)
{
	net->copied = alloc_pages(GFP_KERNEL | __GFP_COMP, IN_ORDER);
	net->in = net->copied;
	return net->in ? 0 : -ENOMEM;
}

void hostnet_in_exit(struct hostnet *net)
{
	if (net->copied)
		__free_pages(net->copied, IN_ORDER);
}
