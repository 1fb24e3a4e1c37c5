/* Records standard input on a Holdfast server, and loses nothing:  arecord -f cd | record http://127.0.0.1:8480
 * What is not safe there yet is in ./spool; after a crash, the next run finishes that first.
 * With an installed library:  cc record.c $(pkg-config --cflags --libs holdfast) */
#include <holdfast/client.h>
#include <stdio.h>
#include <unistd.h>

static int finish(struct hf_take *take, int error)
{
	if (error == 0)
		error = hf_take_end(take);
	while (error == 0 && hf_take_run(take, -1, 1000) != HF_RUN_ENDED) /* reconnects as often as it must */
		;
	const char *id = take ? hf_take_id(take) : NULL;
	printf("%s\n", id ? id : error ? hf_strerror(error) : hf_take_error(take));
	hf_take_free(take);
	return id ? 0 : 1;
}

static void finish_left(void *options, const struct hf_spooled *spooled)
{
	struct hf_options own = *(const struct hf_options *)options;
	struct hf_take *take;
	own.session_id = spooled->session_id;
	if (!spooled->failed && hf_take_resume(&own, &take) == 0)
		finish(take, 0);
}

int main(int argc, char **argv)
{
	struct hf_options options = { .url = argc > 1 ? argv[1] : "http://127.0.0.1:8480", .spool_dir = "spool" };
	struct hf_take *take;
	char bytes[65536];
	hf_spool_each(options.spool_dir, finish_left, &options);
	int error = hf_take_new(&options, &take);
	for (int why = 0; error == 0 && why != HF_RUN_ENDED; why = hf_take_run(take, STDIN_FILENO, 1000)) {
		ssize_t len = why == HF_RUN_READABLE ? read(STDIN_FILENO, bytes, sizeof bytes) : -1;
		if (len > 0)
			error = hf_take_write(take, bytes, (size_t)len); /* in the spool now, whatever happens */
		else if (len == 0)
			break;
	}
	return finish(take, error);
}
