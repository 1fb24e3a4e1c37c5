/* `holdfast token`: makes, lists and revokes tokens; by a server's control.sock when one runs on the data directory,
 * else by itself, with the directory's lock. */
#ifndef HOLDFAST_TOKEN_H
#define HOLDFAST_TOKEN_H

/* argv[0] is "token". The exit status: 0, 1 when it failed, 2 for a wrong command line. */
int token_main(int argc, char **argv);

#endif
