// SPDX-License-Identifier: Apache-2.0
/*
 * The container's interfaces, addresses and routes, by rtnetlink. All is given,
 * nothing is asked of the network, so it is ready when this returns: addresses
 * are not looked for elsewhere first, routers are not listened to.
 */
#define _GNU_SOURCE
#include "network.h"

#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "boot.h"
#include "rtnetlink.h"

#define REQUEST_BYTES	512

/* One message to the kernel and what follows its header */
struct request {
	struct nlmsghdr header;
	char body[REQUEST_BYTES];
};

static void begin(struct request *request, uint16_t type, uint16_t flags, const void *head,
		  size_t size)
{
	memset(request, 0, sizeof(*request));
	request->header.nlmsg_type = type;
	request->header.nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK | flags;
	request->header.nlmsg_len = (uint32_t)(sizeof(request->header) + size);
	memcpy(request->body, head, size);
}

static void add(struct request *request, uint16_t type, const void *data, size_t size)
{
	const size_t used = NETLINK_ALIGN(request->header.nlmsg_len);
	const struct rtattr attribute = {
		.rta_len = (uint16_t)(sizeof(attribute) + size),
		.rta_type = type,
	};
	char *at = (char *)request + used;

	memcpy(at, &attribute, sizeof(attribute));
	memcpy(at + sizeof(attribute), data, size);
	request->header.nlmsg_len = (uint32_t)(used + sizeof(attribute) + size);
}

/* 0 or an errno */
static int ask(int kernel, struct request *request)
{
	struct {
		struct nlmsghdr header;
		struct nlmsgerr error;
		char rest[REQUEST_BYTES];
	} answer;
	ssize_t n;

	if (send(kernel, request, request->header.nlmsg_len, 0) < 0)
		return errno;
	n = recv(kernel, &answer, sizeof(answer), 0);
	if (n < 0)
		return errno;
	if ((size_t)n < sizeof(answer.header) + sizeof(answer.error) ||
	    answer.header.nlmsg_type != NLMSG_ERROR)
		return EPROTO;
	return -answer.error.error;
}

static int raise_loopback(int kernel)
{
	struct ifinfomsg head = { .ifi_index = 1, .ifi_flags = IFF_UP, .ifi_change = IFF_UP };
	struct request request;

	begin(&request, RTM_NEWLINK, 0, &head, sizeof(head));
	return ask(kernel, &request);
}

/* @name: below /proc/sys/net; there may be none, in a kernel that lacks what it sets */
static void set(const char *name, const char *value)
{
	char path[128];
	ssize_t ignored = 0;
	int fd;

	snprintf(path, sizeof(path), "/proc/sys/net/%s", name);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return;
	ignored += write(fd, value, strlen(value));
	(void)ignored;
	close(fd);
}

static void set_ipv6(const char *interface, const char *name, const char *value)
{
	char path[96];

	snprintf(path, sizeof(path), "ipv6/conf/%s/%s", interface, name);
	set(path, value);
}

void network_open_to_all(void)
{
	set("ipv4/ip_unprivileged_port_start", "0");
	set("ipv4/ping_group_range", "0 2147483647");
}

/* @indices: what the kernel calls each of the platform's devices */
static int make_interface(int kernel, const struct boot_interface *wanted, unsigned int *indices)
{
	struct ifinfomsg head = { .ifi_flags = IFF_UP, .ifi_change = IFF_UP };
	struct request request;
	char name[IFNAMSIZ];

	snprintf(name, sizeof(name), "eth%u", wanted->frame.index);
	head.ifi_index = (int)if_nametoindex(name);
	if (!head.ifi_index)
		return errno;
	indices[wanted->frame.index] = (unsigned int)head.ifi_index;
	set_ipv6(name, "accept_dad", "0");
	set_ipv6(name, "accept_ra", "0");
	begin(&request, RTM_NEWLINK, 0, &head, sizeof(head));
	add(&request, IFLA_ADDRESS, wanted->frame.mac, sizeof(wanted->frame.mac));
	add(&request, IFLA_MTU, &wanted->frame.mtu, sizeof(wanted->frame.mtu));
	if (strcmp(name, wanted->name))
		add(&request, IFLA_IFNAME, wanted->name, strlen(wanted->name) + 1);
	return ask(kernel, &request);
}

static int make_address(int kernel, const struct drupe_address *wanted, unsigned int interface)
{
	const size_t size = wanted->family == 4 ? 4 : 16;
	struct ifaddrmsg head = {
		.ifa_family = wanted->family == 4 ? AF_INET : AF_INET6,
		.ifa_prefixlen = wanted->prefix,
		.ifa_flags = wanted->family == 4 ? 0 : IFA_F_NODAD,
		.ifa_index = interface,
	};
	struct request request;

	begin(&request, RTM_NEWADDR, NLM_F_CREATE | NLM_F_REPLACE, &head, sizeof(head));
	add(&request, IFA_LOCAL, wanted->address, size);
	add(&request, IFA_ADDRESS, wanted->address, size);
	return ask(kernel, &request);
}

static int make_route(int kernel, const struct drupe_route *wanted, unsigned int interface)
{
	static const uint8_t none[sizeof(wanted->gateway)];
	const size_t size = wanted->family == 4 ? 4 : 16;
	const bool linked = !memcmp(wanted->gateway, none, sizeof(none));
	struct rtmsg head = {
		.rtm_family = wanted->family == 4 ? AF_INET : AF_INET6,
		.rtm_dst_len = wanted->prefix,
		.rtm_table = RT_TABLE_MAIN,
		.rtm_protocol = RTPROT_BOOT,
		.rtm_scope = linked ? RT_SCOPE_LINK : RT_SCOPE_UNIVERSE,
		.rtm_type = RTN_UNICAST,
	};
	struct request request;

	begin(&request, RTM_NEWROUTE, NLM_F_CREATE | NLM_F_REPLACE, &head, sizeof(head));
	if (wanted->prefix)
		add(&request, RTA_DST, wanted->target, size);
	if (!linked)
		add(&request, RTA_GATEWAY, wanted->gateway, size);
	if (wanted->metric)
		add(&request, RTA_PRIORITY, &wanted->metric, sizeof(wanted->metric));
	add(&request, RTA_OIF, &interface, sizeof(interface));
	return ask(kernel, &request);
}

static const char *name_of(const struct boot_network *network, uint32_t index)
{
	for (uint32_t i = 0; i < network->interface_count; i++)
		if (network->interfaces[i].frame.index == index)
			return network->interfaces[i].name;
	return "";
}

static int fail(char *text, size_t size, int error, const char *what, const char *interface)
{
	snprintf(text, size, "failed to set up %s of '%s': %s", what, interface, strerror(error));
	return error;
}

static int make_all(int kernel, const struct boot_network *network, char *text, size_t size)
{
	unsigned int indices[DRUPE_INTERFACES_MAX] = { 0 };
	int error;

	for (uint32_t i = 0; i < network->interface_count; i++) {
		const struct boot_interface *wanted = &network->interfaces[i];

		error = make_interface(kernel, wanted, indices);
		if (error)
			return fail(text, size, error, "the interface", wanted->name);
	}
	for (uint32_t i = 0; i < network->address_count; i++) {
		const struct drupe_address *wanted = &network->addresses[i];

		error = make_address(kernel, wanted, indices[wanted->index]);
		if (error)
			return fail(text, size, error, "an address",
				    name_of(network, wanted->index));
	}
	for (uint32_t i = 0; i < network->route_count; i++) {
		const struct drupe_route *wanted = &network->routes[i];

		error = make_route(kernel, wanted, indices[wanted->index]);
		if (error)
			return fail(text, size, error, "a route", name_of(network, wanted->index));
	}
	return 0;
}

int network_make(const struct boot_network *network, char *text, size_t size)
{
	int kernel = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
	int error;

	/* A fitted kernel may lack networks. */
	if (kernel < 0)
		return network->interface_count
			? fail(text, size, errno, "the interface", network->interfaces[0].name)
			: 0;
	raise_loopback(kernel);
	error = make_all(kernel, network, text, size);
	close(kernel);
	return error;
}
