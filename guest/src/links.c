#include "links.h"

#include <stdlib.h>
#include <string.h>

enum { BUCKETS = 4096 };

struct met {
	struct met *next;
	dev_t device;
	ino_t inode;
	char name[];
};

static struct met *buckets[BUCKETS];

const char *links_meet(const struct stat *file, const char *name)
{
	if (file->st_nlink < 2 || S_ISDIR(file->st_mode))
		return NULL;
	struct met **bucket = &buckets[(file->st_ino ^ file->st_dev) % BUCKETS];
	for (struct met *met = *bucket; met; met = met->next)
		if (met->inode == file->st_ino && met->device == file->st_dev)
			return met->name;
	struct met *met = malloc(sizeof *met + strlen(name) + 1);
	if (!met)
		return NULL;
	*met = (struct met){*bucket, file->st_dev, file->st_ino};
	strcpy(met->name, name);
	*bucket = met;
	return NULL;
}
