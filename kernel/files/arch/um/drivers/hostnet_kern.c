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
 *		Handshakes that it begins are completed here: hostnet_ack.c.
 *	packet	a struct virtio_net_hdr before each frame, one frame a read
 *		or write: a packet socket with PACKET_VNET_HDR, a tap with
 *		IFF_VNET_HDR.
 *
 * Only read() and write() are asked of the host. A stream whose framing is
 * broken ends the device, and nothing else.
 */

#include <linux/init.h>
#include <linux/interrupt.h>
#include <linux/module.h>
#include <linux/slab.h>
#include <irq_kern.h>
#include "hostnet.h"

#define HOSTNET_MAX	8

static char *hostnet_fds[HOSTNET_MAX];
static int hostnet_count;
module_param_array_named(fds, hostnet_fds, charp, &hostnet_count, 0400);
MODULE_PARM_DESC(fds, "host file descriptors that become network devices, FD:stream or FD:packet");

void hostnet_end(struct hostnet *net, const char *why)
{
	net->ended = true;
	netif_carrier_off(net->dev);
	netdev_warn(net->dev, "%s: the device is of no more use\n", why);
}

static int hostnet_poll(struct napi_struct *napi, int budget)
{
	struct hostnet *net = container_of(napi, struct hostnet, napi);
	int done;

	if (net->blocked)
		hostnet_go_on(net);
	done = budget ? hostnet_read_frames(net, budget) : 0;
	net->heard |= done > 0;
	if (done < budget)
		napi_complete_done(napi, done);
	return done;
}

static int hostnet_open(struct net_device *dev)
{
	struct hostnet *net = netdev_priv(dev);

	napi_enable(&net->napi);
	net->irq = um_request_irq(UM_IRQ_ALLOC, net->fd, IRQ_READ, hostnet_readable, 0, "hostnet",
				  dev);
	if (net->irq < 0) {
		napi_disable(&net->napi);
		return net->irq;
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
	um_free_irq(net->irq, dev);
	hostnet_watch_stop(net);
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
	int err;

	if (!dev)
		return -ENOMEM;
	net = netdev_priv(dev);
	net->dev = dev;
	net->fd = fd;
	net->packet = packet;
	hostnet_watch_init(net);
	err = hostnet_in_init(net) ?: hostnet_out_init(net);
	if (err)
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
	hostnet_in_exit(net);
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
