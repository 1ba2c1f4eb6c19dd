/* SPDX-License-Identifier: Apache-2.0 */
/* dump/format/image_formats.h - the formats that are in files of their own.  Private to dump/image*.c. */
#ifndef DUMP_FORMAT_IMAGE_FORMATS_H
#define DUMP_FORMAT_IMAGE_FORMATS_H

#include "dump/format/image.h"

extern const struct reader_format image_format_lz4;

#endif /* DUMP_FORMAT_IMAGE_FORMATS_H */
