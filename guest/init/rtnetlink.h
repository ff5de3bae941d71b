/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the init says to the kernel's rtnetlink: numbers and layouts of
 * linux/netlink.h, linux/rtnetlink.h, linux/if_link.h and linux/if_addr.h, which
 * musl does not bring.
 */
#ifndef INIT_RTNETLINK_H
#define INIT_RTNETLINK_H

#include <stdint.h>

#define NETLINK_ROUTE		0
#define NLM_F_REQUEST		0x01
#define NLM_F_ACK		0x04
#define NLM_F_REPLACE		0x100
#define NLM_F_CREATE		0x400
#define NLMSG_ERROR		2

#define RTM_NEWLINK		16
#define RTM_NEWADDR		20
#define RTM_NEWROUTE		24

#define IFLA_ADDRESS		1
#define IFLA_IFNAME		3
#define IFLA_MTU		4
#define IFA_ADDRESS		1
#define IFA_LOCAL		2
#define IFA_F_NODAD		0x02
#define RTA_DST			1
#define RTA_OIF			4
#define RTA_GATEWAY		5
#define RTA_PRIORITY		6

#define RT_TABLE_MAIN		254
#define RTPROT_BOOT		3
#define RT_SCOPE_UNIVERSE	0
#define RT_SCOPE_LINK		253
#define RTN_UNICAST		1

/* Messages, and attributes in them, begin at multiples of this */
#define NETLINK_ALIGN(size)	(((size) + 3u) & ~3u)

struct nlmsghdr {
	uint32_t nlmsg_len;
	uint16_t nlmsg_type;
	uint16_t nlmsg_flags;
	uint32_t nlmsg_seq;
	uint32_t nlmsg_pid;
};

struct nlmsgerr {
	int32_t error;		/* 0 or -errno */
	struct nlmsghdr msg;
};

struct rtattr {
	uint16_t rta_len;	/* with this header */
	uint16_t rta_type;
};

struct ifinfomsg {
	uint8_t ifi_family;
	uint8_t ifi_zero;
	uint16_t ifi_type;
	int32_t ifi_index;
	uint32_t ifi_flags;
	uint32_t ifi_change;
};

struct ifaddrmsg {
	uint8_t ifa_family;
	uint8_t ifa_prefixlen;
	uint8_t ifa_flags;
	uint8_t ifa_scope;
	uint32_t ifa_index;
};

struct rtmsg {
	uint8_t rtm_family;
	uint8_t rtm_dst_len;
	uint8_t rtm_src_len;
	uint8_t rtm_tos;
	uint8_t rtm_table;
	uint8_t rtm_protocol;
	uint8_t rtm_scope;
	uint8_t rtm_type;
	uint32_t rtm_flags;
};

#endif
