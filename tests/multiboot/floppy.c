/* The configuration on a floppy: CONFIG.INI in the root folder of a FAT file system, as long as one cluster at most. */
#include "kernel.h"

enum { ENTRY = 32, NAME = 11, DELETED = 0xE5 };

/* Where things are; the start of the first sector says so. */
struct __attribute__((packed)) layout {
	uint8_t jump[3], maker[8];
	uint16_t sector_size;
	uint8_t cluster;
	uint16_t reserved;
	uint8_t tables;
	uint16_t entries, sectors;
	uint8_t kind;
	uint16_t table;
};

struct __attribute__((packed)) entry {
	char name[NAME];
	uint8_t rest[15];
	uint16_t cluster;
	uint32_t size;
};

static uint8_t folder[SECTOR], content[SECTOR];
static uint32_t folder_sector, content_sector;
static struct entry *file;

static struct entry *find_in_folder(void)
{
	for (size_t at = 0; at < SECTOR; at += ENTRY)
		if (memcmp(folder + at, "CONFIG  INI", NAME) == 0)
			return (struct entry *)(folder + at);
	return NULL;
}

static bool find_file(void)
{
	struct layout layout;

	file = NULL;
	if (!floppy_read(0, content))
		return false;
	memcpy(&layout, content, sizeof layout);
	if (layout.sector_size != SECTOR)
		return false;
	uint32_t first = layout.reserved + (uint32_t)layout.tables * layout.table;
	uint32_t data = first + (uint32_t)layout.entries * ENTRY / SECTOR;
	for (folder_sector = first; folder_sector < data && !file; folder_sector++)
		file = floppy_read(folder_sector, folder) ? find_in_folder() : NULL;
	folder_sector--;
	if (!file || file->size > SECTOR)
		return false;
	content_sector = data + (file->cluster - 2u) * layout.cluster;
	return floppy_read(content_sector, content);
}

void floppy_config(void)
{
	if (!floppy_start()) {
		say("floppy: no drive\n");
		return;
	}
	if (!find_file()) {
		say("floppy: no CONFIG.INI\n");
		return;
	}
	say("floppy: %u bytes of CONFIG.INI\n", file->size);
	config_add((const char *)content, file->size);
}

bool floppy_save(const char *line)
{
	size_t length = length_of(line);
	if (!file || file->size + length + 1 > SECTOR)
		return false;
	memcpy(content + file->size, line, length);
	content[file->size + length] = '\n';
	file->size += length + 1;
	return floppy_write(content_sector, content) && floppy_write(folder_sector, folder);
}
