/* Reading the XML that S3 answers with: outside bytes, few elements, no more of XML than they need. Pure.
 *
 * Strict: one root, every element closed by its own name, at most LIMIT_S3_XML_DEPTH deep, attributes quoted (and not
 * looked at), the five named entities and numbers. Document types, CDATA, comments, processing instructions but the
 * declaration: refused. What is not well-formed is refused as a whole, so a caller takes nothing of an answer that was
 * cut off. */
#ifndef HOLDFAST_WORK_S3_XML_H
#define HOLDFAST_WORK_S3_XML_H

#include <stdbool.h>
#include <stddef.h>

/* An element's end. `path` is its names from the root on, "ListPartsResult/Part/ETag"; `text` what stands directly in
 * it, NULL when other elements do; both good until it returns. False ends the reading. */
typedef bool s3_xml_visit(void *arg, const char *path, const char *text);

/* False: it is not well-formed, or a visit said so. */
bool s3_xml_read(const char *data, size_t len, s3_xml_visit *visit, void *arg);
/* `text` as the content of an element. */
struct buf;
void s3_xml_add(struct buf *out, const char *text);

#endif
