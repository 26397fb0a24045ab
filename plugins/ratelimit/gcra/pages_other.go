//go:build !linux

package gcra

// adviseHuge has no way to ask here.
func adviseHuge([]entry) {}
