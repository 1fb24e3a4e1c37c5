/* `holdfast serve`: the server, put together. */
#ifndef HOLDFAST_SERVE_H
#define HOLDFAST_SERVE_H

/* argv[0] is the subcommand's name. Returns the exit status: 0 after a clean stop, 1 when it could not start, 2 for a
 * wrong command line. What can't be trusted any more ends the process from inside (status 1), as does a second signal
 * (130). */
int serve_main(int argc, char **argv);

#endif
