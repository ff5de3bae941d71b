// SPDX-License-Identifier: GPL-2.0-only
/*
 * /dev/hostchan: host files that User-Mode Linux was started with, as file
 * descriptors of the guest.
 *
 * hostchan.fds=3,4,... on the command line lists the host descriptors; no
 * others can be reached. Sockets and pipes are watched through one host epoll
 * instance, edge triggered, which raises this driver's only interrupt. Regular
 * files are always ready.
 *
 * A channel's IN and OUT bits mean "not known to be exhausted": they are
 * cleared before each host call that may find nothing and set again by what it
 * finds, or by the interrupt.
 */

#include <linux/anon_inodes.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/hostchan.h>
#include <linux/interrupt.h>
#include <linux/miscdevice.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/poll.h>
#include <linux/slab.h>
#include <linux/spinlock.h>
#include <linux/stat.h>
#include <linux/termios.h>
#include <linux/uio.h>
#include <linux/wait.h>
#include <inproc.h>
#include <irq_kern.h>
#include <os.h>
#include "hostchan.h"

#define HOSTCHAN_MAX_FDS	16
#define HOSTCHAN_BUFFER_SIZE	(64 * 1024)
#define HOSTCHAN_BATCH		16

enum {
	HOSTCHAN_IN,
	HOSTCHAN_OUT,
};

/**
 * struct hostchan - one open host file
 * @fd: host descriptor
 * @owned: close @fd at release (accepted connections)
 * @watched: in the epoll instance; else always ready
 * @ready: HOSTCHAN_IN, HOSTCHAN_OUT bits
 * @wait: who waits for either bit
 * @in_lock: serialises readers and guards @in
 * @out_lock: serialises writers and guards @out
 * @in: bounce buffer of readers, made at first use
 * @out: bounce buffer of writers, made at first use
 * @list: entry in hostchan_watched
 */
struct hostchan {
	int fd;
	bool owned;
	bool watched;
	unsigned long ready;
	wait_queue_head_t wait;
	struct mutex in_lock;
	struct mutex out_lock;
	void *in;
	void *out;
	struct list_head list;
};

static int hostchan_fds[HOSTCHAN_MAX_FDS];
static int hostchan_count;
module_param_array_named(fds, hostchan_fds, int, &hostchan_count, 0400);
MODULE_PARM_DESC(fds, "host file descriptors that the guest may open");

static bool hostchan_regular[HOSTCHAN_MAX_FDS];
static int hostchan_epoll_fd = -1;
/* Channels that an event may name; the lock keeps them alive for the handler. */
static LIST_HEAD(hostchan_watched);
static DEFINE_SPINLOCK(hostchan_lock);

static bool hostchan_is_watched(struct hostchan *channel)
{
	struct hostchan *entry;

	list_for_each_entry(entry, &hostchan_watched, list)
		if (entry == channel)
			return true;
	return false;
}

static irqreturn_t hostchan_interrupt(int irq, void *data)
{
	struct hostchan_event events[HOSTCHAN_BATCH];
	struct hostchan *channel;
	unsigned long flags;
	int i, n;

	do {
		n = hostchan_epoll_wait(hostchan_epoll_fd, events, HOSTCHAN_BATCH);
		spin_lock_irqsave(&hostchan_lock, flags);
		for (i = 0; i < n; i++) {
			channel = events[i].channel;
			if (!hostchan_is_watched(channel))
				continue;
			if (events[i].events & HOSTCHAN_EVENT_IN)
				set_bit(HOSTCHAN_IN, &channel->ready);
			if (events[i].events & HOSTCHAN_EVENT_OUT)
				set_bit(HOSTCHAN_OUT, &channel->ready);
			wake_up_interruptible_all(&channel->wait);
		}
		spin_unlock_irqrestore(&hostchan_lock, flags);
	} while (n == HOSTCHAN_BATCH || n == -EINTR);

	return IRQ_HANDLED;
}

static int hostchan_wait(struct hostchan *channel, int bit, bool nonblock)
{
	if (nonblock)
		return -EAGAIN;
	return wait_event_interruptible(channel->wait,
					test_bit(bit, &channel->ready));
}

static int hostchan_buffer(void **buffer)
{
	if (!*buffer)
		*buffer = kmalloc(HOSTCHAN_BUFFER_SIZE, GFP_KERNEL);
	return *buffer ? 0 : -ENOMEM;
}

/* One host call that moves bytes, waited for as the file's flags say. */
static ssize_t hostchan_move(struct hostchan *channel, int bit, void *buffer,
			     size_t size, bool nonblock)
{
	int n, err;

	for (;;) {
		clear_bit(bit, &channel->ready);
		if (bit == HOSTCHAN_IN)
			n = os_read_file(channel->fd, buffer, size);
		else
			n = os_write_file(channel->fd, buffer, size);
		if (n == -EINTR)
			continue;
		if (n != -EAGAIN) {
			set_bit(bit, &channel->ready);
			return n;
		}
		err = hostchan_wait(channel, bit, nonblock);
		if (err)
			return err;
	}
}

static bool hostchan_nonblock(struct kiocb *iocb)
{
	return (iocb->ki_filp->f_flags & O_NONBLOCK) ||
	       (iocb->ki_flags & IOCB_NOWAIT);
}

static ssize_t hostchan_read_iter(struct kiocb *iocb, struct iov_iter *to)
{
	struct hostchan *channel = iocb->ki_filp->private_data;
	size_t size = min_t(size_t, iov_iter_count(to), HOSTCHAN_BUFFER_SIZE);
	ssize_t n;

	if (!size)
		return 0;
	if (mutex_lock_interruptible(&channel->in_lock))
		return -ERESTARTSYS;

	n = hostchan_buffer(&channel->in);
	if (!n)
		n = hostchan_move(channel, HOSTCHAN_IN, channel->in, size,
				  hostchan_nonblock(iocb));
	if (n > 0 && copy_to_iter(channel->in, n, to) != n)
		n = -EFAULT;

	mutex_unlock(&channel->in_lock);
	return n;
}

static ssize_t hostchan_write_iter(struct kiocb *iocb, struct iov_iter *from)
{
	struct hostchan *channel = iocb->ki_filp->private_data;
	size_t size = min_t(size_t, iov_iter_count(from), HOSTCHAN_BUFFER_SIZE);
	ssize_t n;

	if (!size)
		return 0;
	if (mutex_lock_interruptible(&channel->out_lock))
		return -ERESTARTSYS;

	n = hostchan_buffer(&channel->out);
	if (!n && copy_from_iter(channel->out, size, from) != size)
		n = -EFAULT;
	if (!n)
		n = hostchan_move(channel, HOSTCHAN_OUT, channel->out, size,
				  hostchan_nonblock(iocb));

	mutex_unlock(&channel->out_lock);
	return n;
}

static __poll_t hostchan_poll(struct file *file, poll_table *table)
{
	struct hostchan *channel = file->private_data;
	__poll_t mask = 0;

	poll_wait(file, &channel->wait, table);
	if (!channel->watched || test_bit(HOSTCHAN_IN, &channel->ready))
		mask |= EPOLLIN | EPOLLRDNORM;
	if (!channel->watched || test_bit(HOSTCHAN_OUT, &channel->ready))
		mask |= EPOLLOUT | EPOLLWRNORM;
	return mask;
}

static void hostchan_free(struct hostchan *channel)
{
	unsigned long flags;

	if (channel->watched) {
		hostchan_epoll_del(hostchan_epoll_fd, channel->fd);
		spin_lock_irqsave(&hostchan_lock, flags);
		list_del(&channel->list);
		spin_unlock_irqrestore(&hostchan_lock, flags);
	}
	if (channel->owned)
		os_close_file(channel->fd);
	kfree(channel->in);
	kfree(channel->out);
	kfree(channel);
}

static int hostchan_release(struct inode *inode, struct file *file)
{
	hostchan_free(file->private_data);
	return 0;
}

static long hostchan_accept(struct hostchan *listener, u32 flags, bool nonblock);

/* The size of a terminal of the host's */
static long hostchan_window(struct hostchan *channel, struct winsize __user *to)
{
	struct winsize size = { 0 };
	int err;

	err = hostchan_window_size(channel->fd, &size.ws_row, &size.ws_col);
	if (err)
		return err;
	return copy_to_user(to, &size, sizeof(size)) ? -EFAULT : 0;
}

static long hostchan_ioctl(struct file *file, unsigned int command,
			   unsigned long argument)
{
	u32 flags;

	if (command == TIOCGWINSZ)
		return hostchan_window(file->private_data,
				       (struct winsize __user *)argument);
	if (command != HOSTCHAN_ACCEPT)
		return -ENOTTY;
	if (get_user(flags, (u32 __user *)argument))
		return -EFAULT;
	return hostchan_accept(file->private_data, flags,
			       file->f_flags & O_NONBLOCK);
}

static const struct file_operations hostchan_fops = {
	.owner = THIS_MODULE,
	.read_iter = hostchan_read_iter,
	.write_iter = hostchan_write_iter,
	.poll = hostchan_poll,
	.unlocked_ioctl = hostchan_ioctl,
	.release = hostchan_release,
};

static int hostchan_watch(struct hostchan *channel)
{
	unsigned long flags;
	int err;

	err = os_set_fd_async(channel->fd);
	if (err)
		return err;

	/* Listed first: an event may come at once. */
	spin_lock_irqsave(&hostchan_lock, flags);
	list_add(&channel->list, &hostchan_watched);
	spin_unlock_irqrestore(&hostchan_lock, flags);

	err = hostchan_epoll_add(hostchan_epoll_fd, channel->fd, channel);
	if (err) {
		/* Open already: leave the other channel its watch. */
		spin_lock_irqsave(&hostchan_lock, flags);
		list_del(&channel->list);
		spin_unlock_irqrestore(&hostchan_lock, flags);
		return err;
	}
	channel->watched = true;
	return 0;
}

static int hostchan_new(int fd, bool regular, bool owned, u32 flags)
{
	struct hostchan *channel;
	int err;

	if (flags & ~(O_CLOEXEC | O_NONBLOCK))
		return -EINVAL;

	channel = kzalloc_obj(*channel);
	if (!channel)
		return -ENOMEM;
	channel->fd = fd;
	init_waitqueue_head(&channel->wait);
	mutex_init(&channel->in_lock);
	mutex_init(&channel->out_lock);
	channel->ready = BIT(HOSTCHAN_IN) | BIT(HOSTCHAN_OUT);

	err = regular ? 0 : hostchan_watch(channel);
	/* A file that cannot be waited for, such as /dev/null */
	if (err == -EPERM)
		err = 0;
	if (err)
		goto free;

	/* Before others can close the descriptor, and the channel with it. */
	channel->owned = owned;
	err = anon_inode_getfd("[hostchan]", &hostchan_fops, channel,
			       O_RDWR | flags);
	if (err >= 0)
		return err;
	channel->owned = false;
free:
	hostchan_free(channel);
	return err;
}

static long hostchan_accept(struct hostchan *listener, u32 flags, bool nonblock)
{
	int fd, err;

	if (flags & ~(O_CLOEXEC | O_NONBLOCK))
		return -EINVAL;
	if (!listener->watched)
		return -EOPNOTSUPP;

	for (;;) {
		clear_bit(HOSTCHAN_IN, &listener->ready);
		fd = hostchan_accept4(listener->fd);
		if (fd == -EINTR || fd == -ECONNABORTED)
			continue;
		if (fd != -EAGAIN)
			break;
		err = hostchan_wait(listener, HOSTCHAN_IN, nonblock);
		if (err)
			return err;
	}
	set_bit(HOSTCHAN_IN, &listener->ready);
	if (fd < 0)
		return fd;

	err = hostchan_new(fd, false, true, flags);
	if (err < 0)
		os_close_file(fd);
	return err;
}

static long hostchan_device_ioctl(struct file *file, unsigned int command,
				  unsigned long argument)
{
	struct hostchan_open request;

	if (command != HOSTCHAN_OPEN)
		return -ENOTTY;
	if (copy_from_user(&request, (void __user *)argument, sizeof(request)))
		return -EFAULT;
	if (request.index >= hostchan_count)
		return -ENOENT;
	return hostchan_new(hostchan_fds[request.index], hostchan_regular[request.index], false,
			    request.flags);
}

static const struct file_operations hostchan_device_fops = {
	.owner = THIS_MODULE,
	.unlocked_ioctl = hostchan_device_ioctl,
};

static struct miscdevice hostchan_device = {
	.minor = MISC_DYNAMIC_MINOR,
	.name = "hostchan",
	.mode = 0600,
	.fops = &hostchan_device_fops,
};

static int __init hostchan_init(void)
{
	struct uml_stat stat;
	int err, i;

	if (!hostchan_count)
		return 0;

	for (i = 0; i < hostchan_count; i++) {
		err = os_stat_fd(hostchan_fds[i], &stat);
		if (err)
			return err;
		hostchan_regular[i] = S_ISREG(stat.ust_mode);
		if (S_ISCHR(stat.ust_mode))
			inproc_may_size(hostchan_fds[i]);
	}

	hostchan_epoll_fd = hostchan_epoll_create();
	if (hostchan_epoll_fd < 0)
		return hostchan_epoll_fd;

	err = um_request_irq(UM_IRQ_ALLOC, hostchan_epoll_fd, IRQ_READ,
			     hostchan_interrupt, 0, "hostchan", &hostchan_device);
	if (err < 0)
		return err;
	return misc_register(&hostchan_device);
}
device_initcall(hostchan_init);
