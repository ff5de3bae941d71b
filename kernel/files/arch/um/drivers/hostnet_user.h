/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef __HOSTNET_USER_H
#define __HOSTNET_USER_H

int hostnet_tell(int fd, int on);

#endif /* __HOSTNET_USER_H */
