package sqlite

import "syscall"

// networkFilesystem names the network file system that holds a directory, or
// nothing. The numbers are from linux/magic.h and statfs(2).
func networkFilesystem(dir string) string {
	var stat syscall.Statfs_t
	if err := syscall.Statfs(dir, &stat); err != nil {
		return ""
	}
	switch uint32(stat.Type) {
	case 0x6969:
		return "NFS"
	case 0x517b, 0xff534d42, 0xfe534d42:
		return "SMB"
	case 0x5346414f:
		return "AFS"
	case 0x73757245:
		return "Coda"
	}
	return ""
}
