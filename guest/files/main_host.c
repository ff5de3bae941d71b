// SPDX-License-Identifier: Apache-2.0
/* The file services as a program of the host, for their tests: files SERVICE ARGUMENT ... */
#include <fcntl.h>
#include <stdlib.h>

#include "report.h"
#include "services.h"

int main(int argc, char **argv)
{
	const char *lower = getenv("LOWER");
	const char *upper = getenv("UPPER");
	struct layers layers = {
		.lower = lower ? open(lower, O_RDONLY | O_DIRECTORY) : -1,
		.upper = upper ? open(upper, O_RDONLY | O_DIRECTORY) : -1,
	};
	int service;

	if (argc < 2)
		return report(0, "no service");
	service = service_find(argv + 1);
	return service < 0 ? report(0, "no such service") : service_run(service, argv + 1, &layers);
}
