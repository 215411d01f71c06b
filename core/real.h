// The number type of every tensor. Training uses float; the derivative checks compile the same
// sources once more with -DREAL=double, so that what is checked is what is trained.
#pragma once

namespace farsight {

#ifndef REAL
#define REAL float
#endif

using real = REAL;

}  // namespace farsight
