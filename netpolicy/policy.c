// SPDX-License-Identifier: Apache-2.0
/*
 * What a container may reach, enforced in the process that makes its
 * connections. This object is preloaded into the user-mode network of a
 * container (passt), where the C library's functions that name a peer are
 * looked up here first. The guest cannot touch it: it talks to that process in
 * Ethernet frames.
 *
 * DRUPE_NET_POLICY holds the rules, one a line:
 *
 *	dns ADDRESS		a resolver: port 53 of it is always allowed
 *	stand ADDRESS REAL	what the container knows a resolver by: resolver.c
 *	publish PROTOCOL PORT IPV4 IPV6	what is listened on: publish.c
 *	deny ADDRESS/BITS	never allowed: the container's own network
 *	host FIRST LAST		ports of this host that are allowed
 *	allow ADDRESS/BITS FIRST LAST	ports of others that are allowed
 *
 * What is not allowed is refused: connections with ECONNREFUSED, datagrams by
 * dropping them, unless their peer sent one here first. Whether an address is
 * this host's own is asked of the host's routing, as it is at that moment.
 *
 * A process whose rules cannot be read does not start. One byte is written to
 * the descriptor that DRUPE_NET_POLICY_READY names once they are in force, so
 * that an object which was not loaded is noticed; birth.c adds the process.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "mend.h"
#include "publish.h"
#include "resolver.h"

#define EXPORT		__attribute__((visibility("default")))
#define RULES_MAX	4096
#define RULES_MORE	16
#define DNS_PORT	53
#define EXIT_REFUSED	111

/* An IPv4 address is kept as the IPv6 address that maps it */
struct address {
	uint8_t bytes[16];
};

struct rule {
	struct address address;
	unsigned int bits;		/* of 128 */
	unsigned int first;
	unsigned int last;
};

struct rules {
	struct rule *entries;
	unsigned int count;
};

static struct rules dns, denied, host, allowed;

/* Rules */

static const uint8_t mapped[12] = { [10] = 0xff, [11] = 0xff };

static _Noreturn void refuse(const char *line)
{
	fprintf(stderr, "drupe: not a rule of what may be reached: '%s'\n", line);
	_exit(EXIT_REFUSED);
}

static bool parse_address(const char *text, struct address *address, unsigned int *width)
{
	if (inet_pton(AF_INET6, text, address->bytes) == 1) {
		*width = 128;
		return true;
	}
	memcpy(address->bytes, mapped, sizeof(mapped));
	*width = 32;
	return inet_pton(AF_INET, text, address->bytes + sizeof(mapped)) == 1;
}

static bool parse_block(char *text, struct rule *rule)
{
	char *slash = strchr(text, '/');
	unsigned int width, bits;

	if (slash)
		*slash = 0;
	if (!parse_address(text, &rule->address, &width))
		return false;
	bits = width;
	if (slash && (sscanf(slash + 1, "%3u", &bits) != 1 || bits > width))
		return false;
	rule->bits = 128 - width + bits;
	return true;
}

static void add(struct rules *rules, const struct rule *rule)
{
	if (rules->count == RULES_MAX)
		refuse("too many");
	if (!(rules->count % RULES_MORE))
		rules->entries = reallocarray(rules->entries, rules->count + RULES_MORE,
					      sizeof(*rules->entries));
	if (!rules->entries)
		refuse("no memory");
	rules->entries[rules->count++] = *rule;
}

static void parse_line(char *line)
{
	struct rule rule = { .last = UINT16_MAX };
	char verb[8], address[64];

	if (resolver_add(line) || publish_add(line))
		return;
	if (sscanf(line, "host %5u %5u", &rule.first, &rule.last) == 2) {
		add(&host, &rule);
		return;
	}
	if (sscanf(line, "%7s %63s %5u %5u", verb, address, &rule.first, &rule.last) < 2 ||
	    !parse_block(address, &rule))
		refuse(line);
	if (!strcmp(verb, "dns"))
		add(&dns, &rule);
	else if (!strcmp(verb, "deny"))
		add(&denied, &rule);
	else if (!strcmp(verb, "allow"))
		add(&allowed, &rule);
	else
		refuse(line);
}

__attribute__((constructor)) static void start(void)
{
	const char *ready = getenv("DRUPE_NET_POLICY_READY");
	const char *given = getenv("DRUPE_NET_POLICY");
	char *text = given ? strdup(given) : NULL;
	char *line, *next;

	if (!text)
		refuse("none");
	for (line = strtok_r(text, "\n", &next); line; line = strtok_r(NULL, "\n", &next))
		parse_line(line);
	free(text);
	if (ready && write(atoi(ready), "+", 1) != 1)
		_exit(EXIT_REFUSED);
}

static bool matches(const struct rule *rule, const struct address *address, unsigned int port)
{
	const unsigned int whole = rule->bits / 8, rest = rule->bits % 8;

	if (port < rule->first || port > rule->last ||
	    memcmp(rule->address.bytes, address->bytes, whole))
		return false;
	return !rest || !((rule->address.bytes[whole] ^ address->bytes[whole]) >> (8 - rest));
}

static bool any(const struct rules *rules, const struct address *address, unsigned int port)
{
	unsigned int i;

	for (i = 0; i < rules->count; i++)
		if (matches(&rules->entries[i], address, port))
			return true;
	return false;
}

/* Whether an address is this host's own */

static bool is_ipv4(const struct address *address)
{
	return !memcmp(address->bytes, mapped, sizeof(mapped));
}

/* What the routing says; a route that leads nowhere is none of this host's */
static bool ask_routing(const struct address *address)
{
	static int kernel = -1;
	const bool four = is_ipv4(address);
	const size_t size = four ? 4 : 16;
	struct {
		struct nlmsghdr header;
		struct rtmsg route;
		struct rtattr attribute;
		uint8_t address[16];
	} question = {
		.header.nlmsg_len = sizeof(question) - sizeof(question.address) + size,
		.header.nlmsg_type = RTM_GETROUTE,
		.header.nlmsg_flags = NLM_F_REQUEST,
		.route.rtm_family = four ? AF_INET : AF_INET6,
		.route.rtm_dst_len = 8 * size,
		.attribute.rta_len = RTA_LENGTH(size),
		.attribute.rta_type = RTA_DST,
	};
	struct {
		struct nlmsghdr header;
		struct rtmsg route;
		uint8_t rest[4096];
	} answer;
	ssize_t n;

	if (kernel < 0)
		kernel = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
	memcpy(question.address, address->bytes + (four ? 12 : 0), size);
	/* Unsure: as if it were the host's, which is refused unless asked for */
	if (kernel < 0 ||
	    syscall(SYS_sendto, kernel, &question, question.header.nlmsg_len, 0, NULL, 0) < 0)
		return true;
	n = syscall(SYS_recvfrom, kernel, &answer, sizeof(answer), 0, NULL, NULL);
	if (n < (ssize_t)sizeof(answer.header))
		return true;
	if (answer.header.nlmsg_type != RTM_NEWROUTE)
		return false;
	return answer.route.rtm_type == RTN_LOCAL;
}

static bool is_host(const struct address *address)
{
	static struct {
		struct address address;
		time_t until;
		bool host;
	} known[256];
	static const struct address unspecified, loopback = { .bytes = { [15] = 1 } };
	const uint8_t *last = address->bytes + 12;
	unsigned int slot = (last[0] ^ last[1]) + (last[2] ^ last[3]) * 7;
	struct timespec now;

	if (is_ipv4(address) && (last[0] == 127 || !last[0]))
		return true;
	if (!memcmp(address, &unspecified, sizeof(*address)) ||
	    !memcmp(address, &loopback, sizeof(*address)))
		return true;
	/* Asking costs some microseconds; an answer holds for a second */
	slot %= sizeof(known) / sizeof(known[0]);
	clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
	if (known[slot].until < now.tv_sec ||
	    memcmp(&known[slot].address, address, sizeof(*address))) {
		known[slot].address = *address;
		known[slot].until = now.tv_sec + 1;
		known[slot].host = ask_routing(address);
	}
	return known[slot].host;
}

/* Peers that were heard of first: they may be answered */

#define HEARD_MAX 256

static struct {
	struct address address;
	unsigned int port;
} heard[HEARD_MAX];

static bool read_name(const struct sockaddr *name, struct address *address, unsigned int *port)
{
	const struct sockaddr_in6 *six = (const void *)name;
	const struct sockaddr_in *four = (const void *)name;

	if (name && name->sa_family == AF_INET6) {
		memcpy(address->bytes, &six->sin6_addr, sizeof(address->bytes));
		*port = ntohs(six->sin6_port);
		return true;
	}
	if (name && name->sa_family == AF_INET) {
		memcpy(address->bytes, mapped, sizeof(mapped));
		memcpy(address->bytes + sizeof(mapped), &four->sin_addr, 4);
		*port = ntohs(four->sin_port);
		return true;
	}
	return false;
}

static bool permitted(const struct address *address, unsigned int port)
{
	if (port == DNS_PORT && any(&dns, address, port))
		return true;
	if (any(&denied, address, port))
		return false;
	if (is_host(address)) {
		for (unsigned int i = 0; i < host.count; i++)
			if (port >= host.entries[i].first && port <= host.entries[i].last)
				return true;
		return false;
	}
	return any(&allowed, address, port);
}

static bool was_heard(const struct address *address, unsigned int port)
{
	unsigned int i;

	for (i = 0; i < HEARD_MAX; i++)
		if (heard[i].port == port && !memcmp(&heard[i].address, address, sizeof(*address)))
			return true;
	return false;
}

static void hear(const struct sockaddr *name)
{
	static unsigned int next;
	struct address address;
	unsigned int port;

	if (!read_name(name, &address, &port) || permitted(&address, port) ||
	    was_heard(&address, port))
		return;
	heard[next].address = address;
	heard[next].port = port;
	next = (next + 1) % HEARD_MAX;
}

static bool may_connect(const struct sockaddr *name)
{
	struct address address;
	unsigned int port;

	return !read_name(name, &address, &port) || permitted(&address, port);
}

static bool may_send(const struct sockaddr *name)
{
	struct address address;
	unsigned int port;

	return !read_name(name, &address, &port) || permitted(&address, port) ||
	       was_heard(&address, port);
}

/* What takes the place of the C library's functions */

/*
 * A connection that is being made without anybody waiting fails later, as if its
 * peer had refused: the socket, which has no peer, is ready and hung up at once.
 * passt does not get a refusal across to the guest where connect() itself fails.
 */
static int refuse_connection(int fd)
{
	int type = 0;
	socklen_t size = sizeof(type);

	errno = ECONNREFUSED;
	if (!getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size) && type == SOCK_STREAM &&
	    (fcntl(fd, F_GETFL) & O_NONBLOCK))
		errno = EINPROGRESS;
	return -1;
}

EXPORT int connect(int fd, const struct sockaddr *name, socklen_t size)
{
	struct sockaddr_storage room;

	name = resolver_of(name, &room);
	if (!may_connect(name))
		return refuse_connection(fd);
	return (int)syscall(SYS_connect, fd, name, size);
}

EXPORT ssize_t sendto(int fd, const void *data, size_t size, int flags,
		      const struct sockaddr *name, socklen_t name_size)
{
	if (!may_send(name))
		return (ssize_t)size;
	return syscall(SYS_sendto, fd, data, size, flags, name, name_size);
}

static size_t message_size(const struct msghdr *message)
{
	size_t size = 0, i;

	for (i = 0; i < message->msg_iovlen; i++)
		size += message->msg_iov[i].iov_len;
	return size;
}

EXPORT ssize_t sendmsg(int fd, const struct msghdr *message, int flags)
{
	if (!may_send(message->msg_name))
		return (ssize_t)message_size(message);
	if (message->msg_name)
		return syscall(SYS_sendmsg, fd, message, flags);
	mend_frames(message);
	return mend_send(fd, message, flags, message_size(message));
}

EXPORT int sendmmsg(int fd, struct mmsghdr *messages, unsigned int count, int flags)
{
	unsigned int done = 0, run;
	long n;

	while (done < count) {
		for (run = 0; done + run < count; run++)
			if (!may_send(messages[done + run].msg_hdr.msg_name))
				break;
		if (!run) {
			messages[done].msg_len = message_size(&messages[done].msg_hdr);
			done++;
			continue;
		}
		n = syscall(SYS_sendmmsg, fd, messages + done, run, flags);
		if (n <= 0)
			return done ? (int)done : (int)n;
		done += n;
		if (n < run)
			break;
	}
	return (int)done;
}

EXPORT int getsockopt(int fd, int level, int name, void *value, socklen_t *size)
{
	int result = (int)syscall(SYS_getsockopt, fd, level, name, value, size);

	if (!result && level == IPPROTO_TCP && name == TCP_INFO)
		mend_window(fd, value, *size);
	return result;
}

EXPORT ssize_t recvfrom(int fd, void *data, size_t size, int flags, struct sockaddr *name,
			socklen_t *name_size)
{
	ssize_t n = syscall(SYS_recvfrom, fd, data, size, flags, name, name_size);

	if (n >= 0 && name && name_size && *name_size)
		hear(name);
	return n;
}

EXPORT ssize_t recvmsg(int fd, struct msghdr *message, int flags)
{
	ssize_t n = syscall(SYS_recvmsg, fd, message, flags);

	if (n >= 0 && message->msg_name && message->msg_namelen)
		hear(message->msg_name);
	return n;
}

EXPORT int recvmmsg(int fd, struct mmsghdr *messages, unsigned int count, int flags,
		    struct timespec *timeout)
{
	int n = (int)syscall(SYS_recvmmsg, fd, messages, count, flags, timeout);

	for (int i = 0; i < n; i++)
		if (messages[i].msg_hdr.msg_name && messages[i].msg_hdr.msg_namelen)
			hear(messages[i].msg_hdr.msg_name);
	return n;
}
