/* The SHA-256 of what came, see digest.h. */
#include "work/digest.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <unistd.h>

static EVP_MD_CTX *context;
static EVP_MD *kind;

enum err digest_prepare(void)
{
	struct sha256 unused;
	context = EVP_MD_CTX_new();
	kind = EVP_MD_fetch(NULL, "SHA256", NULL);
	bool ok = context && kind && EVP_DigestInit_ex(context, kind, NULL) == 1 &&
		  EVP_DigestUpdate(context, "", 1) == 1 && EVP_DigestFinal_ex(context, unused.bytes, NULL) == 1;
	return ok ? ERR_OK : ERR_NO_MEMORY;
}

enum err digest_make(int fd, uint64_t bytes, bool (*alive)(void *arg, uint64_t bytes), void *arg, struct sha256 *out)
{
	uint8_t *piece = malloc(LIMIT_WORKER_HASH_BYTES);
	enum err err = piece && EVP_DigestInit_ex(context, kind, NULL) == 1 ? ERR_OK : ERR_NO_MEMORY;
	(void)posix_fadvise(fd, 0, (off_t)bytes, POSIX_FADV_SEQUENTIAL);
	for (uint64_t at = 0; err == ERR_OK && at < bytes;) {
		uint64_t left = bytes - at;
		ssize_t got = pread(fd, piece, left < LIMIT_WORKER_HASH_BYTES ? (size_t)left : LIMIT_WORKER_HASH_BYTES,
				    (off_t)at);
		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			err = ERR_READ_FAILED;
		else if (EVP_DigestUpdate(context, piece, (size_t)got) != 1)
			err = ERR_NO_MEMORY;
		else
			at += (uint64_t)got;
		if (err == ERR_OK && !alive(arg, (uint64_t)got))
			err = ERR_READ_FAILED;
	}
	if (err == ERR_OK && EVP_DigestFinal_ex(context, out->bytes, NULL) != 1)
		err = ERR_NO_MEMORY;
	free(piece);
	return err;
}
