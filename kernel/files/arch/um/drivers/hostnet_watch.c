// SPDX-License-Identifier: GPL-2.0-only
/*
 * How the host network driver learns that there is something to do.
 *
 * The host tells by SIGIO. In-process, the first host process gets it and passes
 * it on to the one that runs, which costs more than a small frame does. So where
 * frames come often, the host is asked to keep quiet, and a timer looks instead.
 * A processor that idles waits for the descriptors themselves: it misses nothing
 * and does not wait for the timer. When there was nothing to be seen for a while,
 * the host tells again.
 *
 * The timer also looks for room in a host that took no more: to be told of that
 * would be to be told of each frame that the host's end reads.
 */

#include <linux/interrupt.h>
#include <linux/jiffies.h>
#include <inproc.h>
#include "hostnet.h"

/* How often the host may tell in a jiffy */
#define TOLD_MAX	8
#define LOOK_NS		(500 * NSEC_PER_USEC)
/* Its end is busy with what it has; frames that come from there are a reason to look, too */
#define LOOK_ROOM_NS	(1000 * NSEC_PER_USEC)
#define SILENT_MAX	4

static ktime_t hostnet_pause(const struct hostnet *net)
{
	return ns_to_ktime(net->quiet ? LOOK_NS : LOOK_ROOM_NS);
}

static void hostnet_start_looking(struct hostnet *net)
{
	if (!hrtimer_active(&net->look))
		hrtimer_start(&net->look, hostnet_pause(net), HRTIMER_MODE_REL);
}

static void hostnet_be_quiet(struct hostnet *net)
{
	if (hostnet_tell(net->fd, false) < 0)
		return;
	net->quiet = true;
	net->silent = 0;
	hostnet_start_looking(net);
}

static void hostnet_be_told(struct hostnet *net)
{
	net->quiet = false;
	net->told = 0;
	if (hostnet_tell(net->fd, true) < 0)
		hostnet_end(net, "the host does not tell of frames any more");
}

static enum hrtimer_restart hostnet_look(struct hrtimer *timer)
{
	struct hostnet *net = container_of(timer, struct hostnet, look);

	net->silent = net->heard ? 0 : net->silent + 1;
	net->heard = false;
	if (net->quiet && net->silent > SILENT_MAX)
		hostnet_be_told(net);
	/* Also what came just before the host began to tell */
	napi_schedule(&net->napi);
	if (!net->quiet && !net->blocked)
		return HRTIMER_NORESTART;
	hrtimer_forward_now(timer, hostnet_pause(net));
	return HRTIMER_RESTART;
}

irqreturn_t hostnet_readable(int irq, void *data)
{
	struct hostnet *net = netdev_priv(data);

	if (inproc_mode && !net->quiet) {
		if (time_after(jiffies, net->told_at))
			net->told = 0;
		net->told_at = jiffies;
		if (++net->told > TOLD_MAX)
			hostnet_be_quiet(net);
	}
	napi_schedule(&net->napi);
	return IRQ_HANDLED;
}

/* The host takes no more: looks until it does; @net->blocked is set already */
void hostnet_watch_room(struct hostnet *net)
{
	hostnet_start_looking(net);
}

void hostnet_watch_init(struct hostnet *net)
{
	hrtimer_setup(&net->look, hostnet_look, CLOCK_MONOTONIC, HRTIMER_MODE_REL);
}

void hostnet_watch_stop(struct hostnet *net)
{
	hrtimer_cancel(&net->look);
	net->quiet = false;
}
