# SPDX-License-Identifier: BSD-3-Clause
# What the scenario `debugger` does: stops in the middle of a command of the host, and asks for all
# that there is to see.
#
# The first measurement is that of a Realm's parameters, which are read before its granules change;
# the second is of an image page, when the descriptor of the Realm is mapped and locked.
tbreak rmm::realm::measurement::hash
continue
tbreak rmm::realm::measurement::hash
continue
rmm-tables
rmm-slots
rmm-granule 0x70001000
rmm-granule 0x1000
rmm-granules
detach
