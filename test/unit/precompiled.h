// precompiled.h: what every unit test includes, compiled once (CMake's option PRECOMPILE). No file includes
// it by itself.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "../../gateway/precompiled.h"
