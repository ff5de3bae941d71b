// SPDX-License-Identifier: Apache-2.0
/* What the container's networks shall be, gathered frame by frame and bounded. */
#include <stdbool.h>
#include <string.h>

#include "boot.h"

static const struct boot_interface *find_interface(const struct boot_network *network,
						   uint32_t index)
{
	for (uint32_t i = 0; i < network->interface_count; i++)
		if (network->interfaces[i].frame.index == index)
			return &network->interfaces[i];
	return NULL;
}

static bool interface_name_ok(const char *name, size_t size)
{
	if (strlen(name) != size || !strcmp(name, ".") || !strcmp(name, ".."))
		return false;
	for (; *name; name++)
		if (*name <= ' ' || *name == '/' || *name == ':' || *name == 0x7f)
			return false;
	return true;
}

static const char *add_interface(struct boot_network *network, const uint8_t *payload,
				 size_t size)
{
	struct boot_interface *interface = &network->interfaces[network->interface_count];
	const size_t length = size - sizeof(interface->frame);

	if (network->interface_count == DRUPE_INTERFACES_MAX)
		return "too many interfaces";
	memset(interface, 0, sizeof(*interface));
	memcpy(&interface->frame, payload, sizeof(interface->frame));
	memcpy(interface->name, payload + sizeof(interface->frame), length);
	if (interface->frame.index >= DRUPE_INTERFACES_MAX || interface->frame.zero)
		return "no such interface";
	if (find_interface(network, interface->frame.index))
		return "an interface came twice";
	if (interface->frame.mtu < 68 || interface->frame.mtu > 65535)
		return "an MTU is 68 to 65535";
	if (!interface_name_ok(interface->name, length))
		return "not a name of an interface";
	network->interface_count++;
	return NULL;
}

static const char *check_target(const struct boot_network *network, uint32_t index,
				uint8_t family, uint8_t prefix, uint16_t zero)
{
	if (!find_interface(network, index))
		return "an address or route of an interface that was not named";
	if (zero || (family != 4 && family != 6) || prefix > (family == 4 ? 32 : 128))
		return "not an address";
	return NULL;
}

static const char *add_address(struct boot_network *network, const uint8_t *payload)
{
	struct drupe_address *address = &network->addresses[network->address_count];
	const char *why;

	if (network->address_count == DRUPE_ADDRESSES_MAX)
		return "too many addresses";
	memcpy(address, payload, sizeof(*address));
	why = check_target(network, address->index, address->family, address->prefix,
			   address->zero);
	network->address_count += !why;
	return why;
}

static const char *add_route(struct boot_network *network, const uint8_t *payload)
{
	struct drupe_route *route = &network->routes[network->route_count];
	const char *why;

	if (network->route_count == DRUPE_ROUTES_MAX)
		return "too many routes";
	memcpy(route, payload, sizeof(*route));
	why = check_target(network, route->index, route->family, route->prefix, route->zero);
	network->route_count += !why;
	return why;
}

const char *boot_network_add(struct boot_network *network, uint16_t type,
			     const uint8_t *payload, size_t size)
{
	switch (type) {
	case DRUPE_INTERFACE:
		return add_interface(network, payload, size);
	case DRUPE_ADDRESS:
		return add_address(network, payload);
	default:
		return add_route(network, payload);
	}
}
