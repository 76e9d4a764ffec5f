# SPDX-License-Identifier: BSD-3-Clause
# For the scenario `debugger`: stops in the middle of a command of the host, and runs every command
# of rmm.py.
#
# The first measurement is of a Realm's parameters, which are read before its granules change. The
# second is of an image page, while the RD is mapped and locked.
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
