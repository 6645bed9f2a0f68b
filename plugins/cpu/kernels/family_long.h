// Begins the families of packed weights with blocks of 256, one for each type: their code is large.
#pragma once

#include "plugins/cpu/kernels/family.h"
// Order matters below: each header uses the ones before it.
#include "plugins/cpu/kernels/packed.h"

#include "plugins/cpu/kernels/packed_long.h"

#include "plugins/cpu/kernels/packed_pass.h"

#include "plugins/cpu/kernels/panel.h"
