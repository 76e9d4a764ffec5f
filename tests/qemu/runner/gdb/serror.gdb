# SPDX-License-Identifier: BSD-3-Clause
#
# What the scenario `realm-serror` does: QEMU has no physical SErrors, so that one exception of the
# Realm, SMC #0x11, is made one on its way into the RMM. DFSC and AET are in the immediate.
tbreak realm_exit if $x0 == 0 && ($ESR_EL2 & 0xfc00ffff) == 0x5c000011
continue
set $x0 = 3
detach
