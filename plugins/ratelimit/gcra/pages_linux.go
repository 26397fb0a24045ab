package gcra

import (
	"syscall"
	"unsafe"
)

// hugePage is the size of a large page on amd64 and arm64.
const hugePage = 2 << 20

// hugeLeast is how large a part of a table has to be: small tables stay in the
// caches of the processor.
const hugeLeast = 32 << 10

// madvHugepage is MADV_HUGEPAGE of madvise(2).
const madvHugepage = 14

// adviseHuge asks for large pages under a large table. A decision about a caller
// among millions waits for memory, and half of that wait is for the page tables.
// Nothing depends on it: kernels that don't do it leave the pages as they are.
func adviseHuge(slots []entry) {
	size := uintptr(len(slots)) * unsafe.Sizeof(entry{})
	if size < hugeLeast {
		return
	}
	// The parts of a table lie side by side, so that a page may hold several: the
	// advice is for whole pages, whatever else is on them.
	start := uintptr(unsafe.Pointer(unsafe.SliceData(slots))) //nolint:gosec // an address for madvise(2), never read through
	end := (start + size + hugePage - 1) &^ (hugePage - 1)
	start &^= hugePage - 1
	_, _, _ = syscall.Syscall(syscall.SYS_MADVISE, start, end-start, madvHugepage)
}
