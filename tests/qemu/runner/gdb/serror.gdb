# SPDX-License-Identifier: BSD-3-Clause
#
# For the scenario `realm-serror`. QEMU has no physical SErrors, so one exception of the Realm, SMC
# #0x11, is turned into one on its way into the RMM. The immediate gives DFSC and AET.
tbreak realm_exit if $x0 == 0 && ($ESR_EL2 & 0xfc00ffff) == 0x5c000011
continue
set $x0 = 3
detach
