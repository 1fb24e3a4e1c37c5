/* `holdfast send`: recordings from files and from standard input to a server, by libholdfast. */
#ifndef HOLDFAST_CLIENT_SEND_H
#define HOLDFAST_CLIENT_SEND_H

/* argv[0] is the subcommand's name. Returns the exit status: 0 when all is saved, 1 when not, 2 for a wrong command
 * line. */
int send_main(int argc, char **argv);

#endif
