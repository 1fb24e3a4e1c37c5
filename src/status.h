/* `holdfast status`: what the server on a data directory does; in a terminal live, about once a second. */
#ifndef HOLDFAST_STATUS_H
#define HOLDFAST_STATUS_H

/* argv[0] is "status". The exit status: 0, 1 when no server answers, 2 for a wrong command line. */
int status_main(int argc, char **argv);

#endif
