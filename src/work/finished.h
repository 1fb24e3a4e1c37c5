/* A finished file, as what is made from it gets it. */
#ifndef HOLDFAST_WORK_FINISHED_H
#define HOLDFAST_WORK_FINISHED_H

#include "work/input.h"

struct finished {
	struct range range;
	enum container container;
	int64_t duration_us;
};

#endif
