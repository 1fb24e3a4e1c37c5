/* `holdfast verify`: reads everything back and says what holds. */
#ifndef HOLDFAST_VERIFY_H
#define HOLDFAST_VERIFY_H

/* argv[0] is the subcommand's name. Returns the exit status: 0 when all holds, 1 when not, 2 for a wrong command line.
 */
int verify_main(int argc, char **argv);

#endif
