/* SPDX-License-Identifier: Apache-2.0 */
/* execve() with a search in the PATH that the process is given. */
#ifndef INIT_EXEC_H
#define INIT_EXEC_H

/* Returns only on failure, an errno. A script without '#!' is ENOEXEC. */
int exec_search(char **args, char **env);
/* Whether there is such a program: 0 or an errno. */
int exec_look(char **args, char **env);

#endif
