/* The bucket that finished files are pushed to: it does what it is asked, or does it and is not heard, fails, refuses,
 * or says nothing for long; and it outlives every server. At the end each finished revision is in it once, whole, and
 * no upload is left. */
#include "outside.h"
#include "store/media.h"
#include "store/spool.h"

#include <inttypes.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SILENT_MS = 20000, LIFE_SHIFT = 40, FAULTS_MAX = 15 };

static struct rng *luck(struct world *w)
{
	return &w->outside->push_rng;
}

static bool lives(const struct world *w, uint64_t x)
{
	return x >> LIFE_SHIFT == w->life && w->engine && !w->fatal && !disk_dead(w->disk);
}

static enum bucket_word word_of(struct world *w, bool *silent)
{
	static const struct {
		unsigned below;
		enum bucket_word word;
		bool silent;
	} table[] = { { 68, BUCKET_DOES, false },  { 78, BUCKET_LOSES, false }, { 82, BUCKET_LOSES, true },
		      { 94, BUCKET_FAILS, false }, { 98, BUCKET_FAILS, true },	{ 100, BUCKET_REFUSES, false } };
	uint64_t n = rng_below(luck(w), 100);
	unsigned i = 0;
	while (n >= table[i].below)
		i++;
	/* most is pushed when all else is calm: it has so many faults, whenever that is */
	bool fault = table[i].word != BUCKET_DOES && w->outside->push_faults > 0;
	w->outside->push_faults -= fault;
	*silent = fault && table[i].silent;
	return fault ? table[i].word : BUCKET_DOES;
}

static void act(void *arg, uint64_t x);

/* It was silent for so long that the pusher has given it up. */
static void late_loss(void *arg, uint64_t x)
{
	struct world *w = arg;
	uint64_t id = x & ((1ULL << LIFE_SHIFT) - 1);
	if (!lives(w, x) || !bucket_rig_knows(&w->outside->pusher, id, NULL))
		return;
	bucket_rig_answer(&w->outside->pusher, id, BUCKET_LOSES);
	world_touched(w);
}

static void late_failure(void *arg, uint64_t x)
{
	struct world *w = arg;
	uint64_t id = x & ((1ULL << LIFE_SHIFT) - 1);
	if (!lives(w, x) || !bucket_rig_knows(&w->outside->pusher, id, NULL))
		return;
	bucket_rig_answer(&w->outside->pusher, id, BUCKET_FAILS);
	world_touched(w);
}

static void act(void *arg, uint64_t x)
{
	struct world *w = arg;
	struct bucket_rig *r = &w->outside->pusher;
	uint64_t id = x & ((1ULL << LIFE_SHIFT) - 1);
	enum push_verb verb;
	bool silent;
	if (!lives(w, x) || !bucket_rig_knows(r, id, &verb))
		return;
	if (!bucket_rig_want(r, id)) {
		world_touched(w);
		sim_after(&w->sim, MS + rng_below(luck(w), 10 * MS), act, w, x);
		return;
	}
	enum bucket_word word = word_of(w, &silent);
	sim_trace(&w->sim, "bucket", silent ? "silent" : "answers", verb, word);
	if (silent) {
		sim_after(&w->sim, rng_below(luck(w), (uint64_t)SILENT_MS * MS),
			  word == BUCKET_LOSES ? late_loss : late_failure, w, x);
		return;
	}
	world_tally(w, word == BUCKET_DOES ? TALLY_PUSH_STEPS : TALLY_PUSH_FAILURES);
	if (verb == PUSH_UPLOADS)
		world_tally(w, TALLY_PUSH_CLEARED);
	bool dies = !w->calm && w->plan.at_calls && (w->plan.kills || w->plan.powers) && rng_chance(luck(w), 5);
	bucket_rig_answer(r, id, word);
	if (dies) /* amid writing down what came of it */
		disk_die_after(w->disk, 1 + rng_below(luck(w), 8));
	world_touched(w);
}

static void on_begun(void *arg, uint64_t id)
{
	struct world *w = arg;
	uint64_t wait = rng_below(luck(w), rng_chance(luck(w), 10) ? 3 * SECOND : 60 * MS);
	sim_after(&w->sim, wait, act, w, (uint64_t)w->life << LIFE_SHIFT | id);
}

void pushes_init(struct world *w)
{
	struct outside *o = w->outside;
	bucket_init(&o->bucket);
	o->push_faults = (unsigned)rng_below(&o->push_rng, FAULTS_MAX + 1);
	bucket_rig_init(&o->pusher, &o->bucket);
	o->pusher.begun = on_begun;
	o->pusher.arg = w;
}

struct pusher *pushes_base(struct world *w)
{
	return w->plan.pushes ? &w->outside->pusher.base : NULL;
}

/* The server is gone: what was on its way to the bucket may come to it all the same. */
void pushes_gone(struct world *w)
{
	struct bucket_rig *r = &w->outside->pusher;
	for (uint64_t id; (id = bucket_rig_step(r)) != 0;) {
		if (rng_chance(luck(w), 50))
			bucket_rig_do(r, id);
		r->base.ops->cancel(&r->base, id);
	}
}

/* --- what was refused goes on when somebody says so --- */

static void retried(void *arg, enum err err)
{
	struct world *w = arg;
	w->asking--;
	w->open_requests--;
	if (err != ERR_OK && !w->fatal && !disk_dead(w->disk) && err != ERR_SHUTTING_DOWN && err != ERR_STORAGE_FULL &&
	    disk_failures(w->disk) == 0)
		sim_fail(&w->sim, "every request is answered", "retry of pushes: %s", err_code(err));
}

static void retry(void *arg, uint64_t x)
{
	struct world *w = arg;
	(void)x;
	if (w->quiet || w->ending)
		return;
	if (w->up && !w->stopping && !w->fatal && (w->calm || rng_chance(luck(w), 30))) {
		w->asking++;
		w->open_requests++;
		engine_unpark(w->engine, JOB_PUSH, retried, w);
		world_touched(w);
	}
	sim_after(&w->sim, SECOND + rng_below(luck(w), w->calm ? 30 * SECOND : 8 * SECOND), retry, w, 0);
}

void pushes_begin(struct world *w)
{
	if (w->plan.pushes)
		sim_after(&w->sim, rng_below(luck(w), 10 * SECOND), retry, w, 0);
}

/* --- the end --- */

bool pushes_idle(struct world *w, const struct engine_status *status)
{
	const struct engine_queue *push = &status->queues[JOB_PUSH];
	if (!w->plan.pushes)
		return true;
	return push->queued + push->running + push->parked == 0 && bucket_open_uploads(&w->outside->bucket) == 0;
}

static bool file_sha256(struct world *w, const struct recording_info *row, char out[65])
{
	static uint8_t data[65536];
	static const char digits[] = "0123456789abcdef";
	char path[MEDIA_PATH];
	struct vfs_file *file;
	uint8_t sha256[32];
	if (row->media.as_is)
		spool_file_path(&row->id, 0, path);
	else
		media_part_path(&row->id, &row->media, MEDIA_FILE, path);
	if (vfs_open(disk_vfs(w->disk), path, VFS_READ, &file) != ERR_OK)
		return false;
	EVP_MD_CTX *hash = EVP_MD_CTX_new();
	EVP_DigestInit_ex(hash, EVP_sha256(), NULL);
	for (uint64_t off = 0, left = row->media.bytes; left > 0;) {
		size_t n = 0, len = left < sizeof data ? (size_t)left : sizeof data;
		if (vfs_file_read(file, data, len, off, &n) != ERR_OK || n == 0)
			break;
		EVP_DigestUpdate(hash, data, n);
		off += n;
		left -= n;
	}
	EVP_DigestFinal_ex(hash, sha256, NULL);
	EVP_MD_CTX_free(hash);
	vfs_file_close(file);
	for (unsigned i = 0; i < 32; i++) {
		out[2 * i] = digits[sha256[i] >> 4];
		out[2 * i + 1] = digits[sha256[i] & 15];
	}
	out[64] = '\0';
	return true;
}

static void check_object(struct world *w, const struct recording_info *row, const char *name)
{
	struct sim *s = &w->sim;
	char sha256[65];
	if (row->push.revision != row->revision || row->push.state != JOB_DONE)
		sim_fail(s, "pushed once", "%s is complete, its push of revision %" PRIu32 " is %s", name,
			 row->push.revision, job_state_name(row->push.state));
	const struct bucket_object *o = row->push.key ? bucket_find(&w->outside->bucket, row->push.key) : NULL;
	if (!o || o->bytes != row->media.bytes || strcmp(o->sha256, o->content) != 0)
		sim_fail(s, "pushed whole", "%s: %s", name, o ? "the object is another one" : "there is no object");
	if (!file_sha256(w, row, sha256) || strcmp(sha256, o->content) != 0)
		sim_fail(s, "pushed whole", "%s: the object is not the file", name);
	world_tally(w, TALLY_PUSHED);
}

/* What retention removed was in the bucket before. */
static void check_removed(struct world *w, const struct recording_info *row, const char *name)
{
	const struct bucket *b = &w->outside->bucket;
	char id[UUID_TEXT];
	uuid_format(&row->id, id);
	for (unsigned i = 0; i < b->object_count; i++) {
		if (strstr(b->objects[i].key, id))
			return;
	}
	sim_fail(&w->sim, "local files wait for the bucket", "%s was removed and is nowhere", name);
}

void pushes_audit(struct world *w, const struct recording_info *row, const char *name, bool expired)
{
	if (!w->plan.pushes)
		return;
	if (row->phase == PHASE_COMPLETE && row->media.bytes > 0)
		check_object(w, row, name);
	else if (row->phase == PHASE_COMPLETE && row->push.revision != 0)
		sim_fail(&w->sim, "pushed once", "%s is empty and was pushed", name);
	else if (row->phase == PHASE_DELETED && expired)
		check_removed(w, row, name);
}

void pushes_audit_all(struct world *w)
{
	const struct bucket *b = &w->outside->bucket;
	for (unsigned i = 0; i < b->object_count; i++) {
		if (b->objects[i].made > 1)
			sim_fail(&w->sim, "pushed once", "%s was made %u times", b->objects[i].key, b->objects[i].made);
	}
	if (b->damaged > 0)
		sim_fail(&w->sim, "pushed whole", "%u bodies were not what was hashed", b->damaged);
	if (bucket_open_uploads(b) > 0)
		sim_fail(&w->sim, "uploads are swept", "%u are left", bucket_open_uploads(b));
}
