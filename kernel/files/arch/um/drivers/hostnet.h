/* SPDX-License-Identifier: GPL-2.0-only */
/* The parts of the host network driver; hostnet_kern.c tells what it is. */
#ifndef __HOSTNET_H
#define __HOSTNET_H

#include <linux/etherdevice.h>
#include <linux/hrtimer.h>
#include <linux/netdevice.h>
#include <linux/skbuff.h>
#include <linux/virtio_net.h>
#include "hostnet_user.h"

#define STREAM_HEAD	((unsigned int)sizeof(__be32))
#define PACKET_HEAD	((unsigned int)sizeof(struct virtio_net_hdr))
#define FRAME_MAX	(GSO_LEGACY_MAX_SIZE + VLAN_ETH_HLEN)
#define FRAME_ROOM	(FRAME_MAX + PACKET_HEAD)

/* Pages that are read into */
#define IN_PAGES	8
/* How many handshakes may wait */
#define ACKS		64

/**
 * struct hostnet - one device
 * @dev: the network device
 * @napi: reads, and writes what was held up
 * @fd: host descriptor
 * @packet: the framing is packet, else stream
 * @ended: the host's end is gone, or broke the framing
 * @blocked: the host takes no more for now
 * @irq: there is something to read
 * @look: looks for what nobody tells of
 * @quiet: the host does not tell by signals
 * @heard: something came since the last look
 * @silent: how many looks in a row have found nothing
 * @told: how often the host has told within @told_at
 * @told_at: a jiffy
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
	int irq;
	struct hrtimer look;
	bool quiet;
	bool heard;
	unsigned int silent;
	unsigned int told;
	unsigned long told_at;
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

void hostnet_end(struct hostnet *net, const char *why);

/* hostnet_out.c */
int hostnet_out_init(struct hostnet *net);
netdev_tx_t hostnet_start_xmit(struct sk_buff *skb, struct net_device *dev);
void hostnet_go_on(struct hostnet *net);
void hostnet_put(struct hostnet *net, const void *frame, unsigned int size);

/* hostnet_in.c */
int hostnet_in_init(struct hostnet *net);
void hostnet_in_exit(struct hostnet *net);
int hostnet_read_frames(struct hostnet *net, int budget);

/* hostnet_ack.c */
void hostnet_ack_later(struct hostnet *net, const struct sk_buff *accepting);
bool hostnet_ack_now(struct hostnet *net, const void *frame, unsigned int size);

/* hostnet_watch.c */
void hostnet_watch_init(struct hostnet *net);
void hostnet_watch_stop(struct hostnet *net);
void hostnet_watch_room(struct hostnet *net);
irqreturn_t hostnet_readable(int irq, void *data);

#endif /* __HOSTNET_H */
