/* The holdfast program: finds the subcommand and hands over. */
#include "config/config.h"
#include "send.h"
#include "serve.h"
#include "status.h"
#include "token.h"
#include "verify.h"

#include <stdio.h>
#include <string.h>

enum { EXIT_USAGE = 2 };

static const char help[] = "Usage: holdfast COMMAND [OPTION]...\n"
			   "Takes recordings in over links that drop, and loses nothing.\n"
			   "\n"
			   "  serve      takes recordings in and keeps them\n"
			   "  send       sends recordings, from files or from standard input\n"
			   "  status     shows what a server does, live in a terminal\n"
			   "  token      makes, lists and revokes tokens\n"
			   "  verify     reads everything back and says what holds\n"
			   "\n"
			   "  --help     display this help and exit\n"
			   "  --version  output version information and exit\n"
			   "\n"
			   "'holdfast COMMAND --help' tells the options of a command.\n";

static const struct {
	const char *name;
	int (*run)(int argc, char **argv);
} commands[] = { { "serve", serve_main },
		 { "send", send_main },
		 { "status", status_main },
		 { "token", token_main },
		 { "verify", verify_main } };

static int show_help(void)
{
	fputs(help, stdout);
	return fflush(stdout) == 0 ? 0 : 1;
}

static int show_version(void)
{
	printf("holdfast %s\n", HOLDFAST_VERSION);
	return fflush(stdout) == 0 ? 0 : 1;
}

int main(int argc, char **argv)
{
	if (argc < 2) {
		fprintf(stderr, "holdfast: a command is missing\n");
		config_try_help(NULL);
		return EXIT_USAGE;
	}
	const char *command = argv[1];
	if (strcmp(command, "--help") == 0 || strcmp(command, "help") == 0)
		return show_help();
	if (strcmp(command, "--version") == 0 || strcmp(command, "version") == 0)
		return show_version();
	for (unsigned i = 0; i < sizeof commands / sizeof commands[0]; i++)
		if (strcmp(command, commands[i].name) == 0)
			return commands[i].run(argc - 1, argv + 1);
	fprintf(stderr, "holdfast: %s '%s'\n", *command == '-' ? "unrecognized option" : "unknown command", command);
	config_try_help(NULL);
	return EXIT_USAGE;
}
