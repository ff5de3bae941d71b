// SPDX-License-Identifier: Apache-2.0
/* The streams of a main process that has the host's files. */
#define _GNU_SOURCE
#include "flow.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "container.h"
#include "machine.h"
#include "process.h"

#define FLOW_BYTES	65536
/* A terminal of the host tells nobody here that its size is another one. */
#define LOOK_MS		250

static void end(struct flow *flow)
{
	source_close(&flow->from);
	source_close(&flow->to);
	free(flow->data);
	flow->data = NULL;
	flow->used = 0;
}

/* What is held goes on; then more is wanted, or it is the end. */
static void pass(struct flow *flow)
{
	while (flow->used) {
		ssize_t size = write(flow->to.fd, flow->data + flow->head, flow->used);

		if (size < 0 && errno == EINTR)
			continue;
		if (size < 0 && errno == EAGAIN) {
			source_watch(&flow->from, 0);
			source_watch(&flow->to, EPOLLOUT);
			return;
		}
		if (size <= 0) {
			end(flow);
			return;
		}
		flow->head += (size_t)size;
		flow->used -= (size_t)size;
		container_progress();
	}
	flow->head = 0;
	source_watch(&flow->to, 0);
	if (flow->ended)
		end(flow);
	else
		source_watch(&flow->from, EPOLLIN);
}

static void writable(struct source *source, uint32_t events)
{
	(void)events;
	pass(container_of(source, struct flow, to));
}

static void readable(struct source *source, uint32_t events)
{
	struct flow *flow = container_of(source, struct flow, from);
	ssize_t size;

	(void)events;
	if (!flow->data)
		flow->data = malloc(FLOW_BYTES);
	size = flow->data ? read(source->fd, flow->data, FLOW_BYTES) : 0;
	if (size < 0 && (errno == EINTR || errno == EAGAIN))
		return;
	if (size > 0)
		flow->used = (size_t)size;
	else
		flow->ended = true;
	/* A terminal that is closed takes nothing, either: the program is hung up. */
	if (flow->ended && flow->back)
		end(flow->back);
	pass(flow);
}

static void open_way(struct flow *flow, int from, int to)
{
	source_init(&flow->from, from, readable);
	source_init(&flow->to, to, writable);
}

static void look(struct timer *timer)
{
	struct flows *flows = container_of(timer, struct flows, look);
	struct winsize now, was;

	if (flows->way[1].from.fd < 0)
		return;
	if (ioctl(flows->terminal, TIOCGWINSZ, &now) == 0 &&
	    ioctl(flows->master, TIOCGWINSZ, &was) == 0 &&
	    (now.ws_row != was.ws_row || now.ws_col != was.ws_col))
		ioctl(flows->master, TIOCSWINSZ, &now);
	timer_start(timer, clock_ms() + LOOK_MS, look);
}

static int take(int *fd)
{
	int taken = *fd;

	*fd = -1;
	return taken;
}

static void close_one(int fd)
{
	if (fd >= 0)
		close(fd);
}

static int open_terminal(struct flows *flows, struct process *process)
{
	int host = machine_open(DRUPE_HOST_STDIN);
	int back = host < 0 ? host : fcntl(host, F_DUPFD_CLOEXEC, 3);
	int in = fcntl(process->out[0].source.fd, F_DUPFD_CLOEXEC, 3);

	if (host < 0 || back < 0 || in < 0) {
		int error = host < 0 ? -host : errno;

		close_one(host);
		close_one(back);
		close_one(in);
		return error;
	}
	flows->terminal = host;
	flows->master = in;
	open_way(&flows->way[0], host, in);
	flows->way[0].back = &flows->way[1];
	open_way(&flows->way[1], take(&process->out[0].source.fd), back);
	return 0;
}

static int open_files(struct flows *flows, struct process *process)
{
	int host[FLOWS];

	for (int i = 0; i < FLOWS; i++) {
		host[i] = machine_open(DRUPE_HOST_STDIN + i);
		if (host[i] >= 0)
			continue;
		while (i--)
			close(host[i]);
		return EBADF;
	}
	open_way(&flows->way[0], host[0], take(&process->input.fd));
	open_way(&flows->way[1], take(&process->out[0].source.fd), host[1]);
	open_way(&flows->way[2], take(&process->out[1].source.fd), host[2]);
	return 0;
}

struct flows *flows_new(struct process *process, int *error, const char **text)
{
	struct flows *flows = calloc(1, sizeof(*flows));

	*text = "failed to open the host's streams";
	*error = ENOMEM;
	if (!flows)
		return NULL;
	for (int i = 0; i < FLOWS; i++)
		open_way(&flows->way[i], -1, -1);
	flows->terminal = -1;
	*error = process->terminal ? open_terminal(flows, process) : open_files(flows, process);
	if (*error) {
		free(flows);
		return NULL;
	}
	return flows;
}

void flows_begin(struct flows *flows)
{
	for (int i = 0; i < FLOWS; i++)
		source_watch(&flows->way[i].from, EPOLLIN);
	if (flows->terminal >= 0)
		look(&flows->look);
}

bool flows_open(const struct flows *flows)
{
	return flows->way[1].to.fd >= 0 || flows->way[2].to.fd >= 0;
}

void flows_free(struct flows *flows)
{
	if (!flows)
		return;
	timer_stop(&flows->look);
	for (int i = 0; i < FLOWS; i++)
		end(&flows->way[i]);
	free(flows);
}
