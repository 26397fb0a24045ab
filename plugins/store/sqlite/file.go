package sqlite

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// applicationID marks a file as ours in the header of SQLite's file format
// (https://sqlite.org/fileformat.html#application_id): "PCST".
const applicationID = 0x50435354

// The header of a database file: how long it is, how it begins, and where the page
// size and the application id stand.
const (
	headerSize          = 100
	headerMagic         = "SQLite format 3\x00"
	headerPageSize      = 16
	headerApplicationID = 68
)

// advicePath is how every error about the path ends.
const advicePath = `or name another path with "store sqlite <path>"`

// prepareFile makes the file, empty and readable by its owner alone, or looks at
// the one that is there. It changes nothing that exists. Fresh says that there is
// nothing in the file yet.
func prepareFile(path string) (fresh bool, err error) {
	dir := filepath.Dir(path)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return false, fmt.Errorf("making its directory: %w; make that writable for the user that runs the gateway, %s", err, advicePath)
	}
	if kind := networkFilesystem(dir); kind != "" {
		// File locks over a network do not do what SQLite needs, and the loss would be
		// silent: https://sqlite.org/faq.html#q5.
		return false, fmt.Errorf("its directory is on %s, where SQLite loses data; use a local disk", kind)
	}
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if err == nil {
		return true, file.Close()
	}
	if !errors.Is(err, fs.ErrExist) {
		return false, fmt.Errorf("making the file: %w; make its directory writable for the user that runs the gateway, %s", err, advicePath)
	}

	info, err := os.Stat(path)
	switch {
	case err != nil:
		return false, err
	case info.IsDir():
		return false, fmt.Errorf("it is a directory; name a file in it, such as %s", filepath.Join(path, "gateway.db"))
	case !info.Mode().IsRegular():
		// Opening a pipe would wait for ever.
		return false, fmt.Errorf("it is no regular file; move it away, %s", advicePath)
	}
	if file, err = os.OpenFile(path, os.O_RDWR, 0); err != nil {
		return false, fmt.Errorf("it can't be written: %w; make it writable for the user that runs the gateway, %s", err, advicePath)
	}
	fresh, err = checkHeader(path, file)
	return fresh, errors.Join(err, file.Close())
}

// checkFile says whether the file that was opened is still in its place. It does not
// open it: closing any descriptor of a file drops the locks that SQLite holds on it
// (https://sqlite.org/howtocorrupt.html#_posix_advisory_locks_canceled_by_a_separate_thread_doing_close_).
func (s *Store) checkFile() error {
	info, err := os.Stat(s.path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return errors.New("its file is gone, and what is written from now on is lost: stop the gateway, put the file back and start again")
	case err != nil:
		return fmt.Errorf("%w; make it readable for the user that runs the gateway", err)
	case !os.SameFile(info, s.opened):
		return errors.New("another file has taken its place, and the gateway works with the old one still: restart it")
	}
	return nil
}

// checkHeader reads how the file begins, without SQLite, which would take some of
// what is wrong for a new file and write to it.
func checkHeader(path string, file *os.File) (fresh bool, err error) {
	header := make([]byte, headerSize)
	n, err := io.ReadFull(file, header)
	if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		return false, fmt.Errorf("reading it: %w", err)
	}
	header = header[:n]
	// The log before the size: while there is something in it the last page may be
	// half written, and SQLite writes it again.
	logged := false
	if info, err := os.Stat(path + "-wal"); err == nil {
		logged = info.Size() > 0
	}
	info, err := file.Stat()
	if err != nil {
		return false, err
	}
	switch {
	case len(header) == 0 && logged:
		// SQLite would throw the log of an empty file away, and with it all that was
		// not yet moved over.
		return false, errors.New("it is empty but its log is not, so it was cut off; nothing was changed: restore a backup of both, or move both away")
	case len(header) == 0:
		return true, nil
	case !bytes.HasPrefix(header, []byte(headerMagic)[:min(len(header), len(headerMagic))]):
		return false, fmt.Errorf("it is not a SQLite database; nothing was changed: move it away, %s", advicePath)
	case len(header) < headerSize:
		return false, damaged("its header is cut off")
	case !logged && info.Size()%pageSize(header) != 0:
		// SQLite would read what is missing as zeros.
		return false, damaged("its last page is cut off")
	}
	// A new file's id may still be in its log, so that zero says nothing.
	if id := binary.BigEndian.Uint32(header[headerApplicationID:]); id != 0 && id != applicationID {
		return false, errForeign
	}
	return false, nil
}

// pageSize reads the size of a page from the header, where 1 stands for 65536.
func pageSize(header []byte) int64 {
	if size := binary.BigEndian.Uint16(header[headerPageSize:]); size > 1 {
		return int64(size)
	}
	return 65536
}

var errForeign = errors.New("it is the database of another application; nothing was changed: " + advicePath[len("or "):])

// damaged is the error of a file that can't be trusted. Repairing it is a human's
// decision: keys or revocations may be gone.
func damaged(how string) error {
	return fmt.Errorf("it is damaged: %s; nothing was changed: restore a backup, "+
		"or save what can be saved with `sqlite3 <path> .recover`, or move it away to start with no keys", how)
}
