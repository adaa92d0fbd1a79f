// SlotTag names a connection of a worker that may be gone by the time it is looked for.
#ifndef PROXY_SLOT_TAG_H_
#define PROXY_SLOT_TAG_H_

#include <cstdint>

namespace sallyport {

struct SlotTag {
  uint32_t slot = 0;
  uint16_t generation = 0;  // How often the slot was taken.
};

}  // namespace sallyport

#endif  // PROXY_SLOT_TAG_H_
