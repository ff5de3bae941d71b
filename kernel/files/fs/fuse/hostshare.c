// SPDX-License-Identifier: GPL-2.0-only
/*
 * hostshare: directories of the host, for User-Mode Linux. FUSE's client, whose
 * requests go to the broker of shares (hostqueue.c).
 */
#include <linux/fs_context.h>
#include <linux/init.h>
#include <linux/module.h>
#include <linux/slab.h>
#include <shares.h>
#include "dev.h"
#include "fuse_dev_i.h"
#include "fuse_i.h"
#include "hostqueue.h"

#define HOST_BLOCK_BITS	9

static int fill_super(struct super_block *sb, struct fs_context *fsc)
{
	struct fuse_mount *mount = get_fuse_mount_super(sb);
	struct fuse_fs_context *context = fsc->fs_private;
	int err;

	context->rootmode = S_IFDIR;
	context->default_permissions = true;
	context->allow_other = true;
	context->max_read = SHARES_PAGES << PAGE_SHIFT;
	context->blksize = 1 << HOST_BLOCK_BITS;
	context->destroy = true;
	context->no_control = true;
	context->no_force_umount = true;
	err = fuse_fill_super_common(sb, context);
	return err ? err : fuse_send_init(mount);
}

static int test_super(struct super_block *sb, struct fs_context *fsc)
{
	struct fuse_mount *mount = fsc->s_fs_info;

	return get_fuse_mount_super(sb)->fc->chan->iq.priv == mount->fc->chan->iq.priv;
}

static struct fuse_mount *new_mount(struct fs_context *fsc, long share)
{
	struct fuse_conn *conn = kzalloc_obj(*conn);
	struct fuse_mount *mount = kzalloc_obj(*mount);
	struct fuse_chan *chan = fuse_chan_new();

	if (!conn || !mount || !chan) {
		kfree(conn);
		kfree(mount);
		if (chan)
			fuse_chan_free(chan);
		return NULL;
	}
	fuse_iqueue_init(&chan->iq, &hostqueue_ops, (void *)share);
	chan->no_interrupt = true;
	fuse_conn_init(conn, mount, fsc->user_ns, chan);
	conn->release = fuse_free_conn;
	conn->delete_stale = true;
	conn->host_locks = true;
	conn->sync_init = true;
	conn->use_pages_for_kvec_io = true;
	conn->max_pages_limit = SHARES_PAGES;
	return mount;
}

static int get_tree(struct fs_context *fsc)
{
	struct fuse_mount *mount;
	struct super_block *sb;
	unsigned int share;
	int err;

	if (!fsc->source || kstrtouint(fsc->source, 10, &share) || share >= shares_count)
		return invalf(fsc, "No share of that number");
	mount = new_mount(fsc, share);
	if (!mount)
		return -ENOMEM;
	fsc->s_fs_info = mount;
	sb = sget_fc(fsc, test_super, set_anon_super_fc);
	if (fsc->s_fs_info)
		fuse_mount_destroy(mount);
	if (IS_ERR(sb))
		return PTR_ERR(sb);
	if (!sb->s_root) {
		err = fill_super(sb, fsc);
		if (err) {
			deactivate_locked_super(sb);
			return err;
		}
		sb->s_flags |= SB_ACTIVE;
	}
	fsc->root = dget(sb->s_root);
	return 0;
}

static void free_context(struct fs_context *fsc)
{
	kfree(fsc->fs_private);
}

static const struct fs_context_operations context_ops = {
	.free = free_context,
	.get_tree = get_tree,
};

static int init_context(struct fs_context *fsc)
{
	if (fsc->purpose == FS_CONTEXT_FOR_SUBMOUNT)
		return fuse_init_fs_context_submount(fsc);
	fsc->fs_private = kzalloc_obj(struct fuse_fs_context);
	if (!fsc->fs_private)
		return -ENOMEM;
	fsc->ops = &context_ops;
	return 0;
}

static void kill_sb(struct super_block *sb)
{
	struct fuse_mount *mount = get_fuse_mount_super(sb);

	if (sb->s_root && fuse_mount_remove(mount))
		fuse_conn_destroy(mount);
	kill_anon_super(sb);
	fuse_mount_destroy(mount);
}

static struct file_system_type hostshare_type = {
	.owner = THIS_MODULE,
	.name = "hostshare",
	.init_fs_context = init_context,
	.kill_sb = kill_sb,
};
MODULE_ALIAS_FS("hostshare");

static int __init hostshare_init(void)
{
	int err;

	if (!shares_count)
		return 0;
	err = hostqueue_init();
	return err ? err : register_filesystem(&hostshare_type);
}
late_initcall(hostshare_init);
