//go:build !linux

package sqlite

// networkFilesystem can't tell here; the documentation warns of them.
func networkFilesystem(string) string { return "" }
