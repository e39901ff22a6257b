// Package fdstore keeps descriptors where they outlive this process: in systemd's
// store for the service (sd_pid_notify_with_fds(3), FDSTORE=1).
//
// What belongs together goes as one parcel: a socket, in whose queue the descriptors
// are, in their order (SCM_RIGHTS, unix(7)), with a few bytes beside. The next process
// gets the sockets from systemd and looks into them without taking anything out
// (MSG_PEEK), so that what is stored stays stored until it is removed. Only one
// descriptor for each parcel counts for systemd, and for its names in the
// environment.
//
// It speaks to systemd's notification socket, and keeps no state.
package fdstore

import (
	"errors"
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// MaxFDs is the most descriptors in a parcel.
	MaxFDs = 16
	// maxNote is the most bytes beside them.
	maxNote = 256
	// patience is how long systemd may take.
	patience = 10 * time.Second
)

// Store is systemd's store for this service.
type Store struct{ addr string }

// New finds the store; nil where systemd offers none, for it did not start us.
func New() *Store {
	name := os.Getenv("NOTIFY_SOCKET")
	if name == "" {
		return nil
	}
	return &Store{name} // '@' begins an abstract name, to x/sys too
}

// Put stores a parcel under a name, and returns when systemd has it. Its
// descriptors stay the caller's. A name is of letters and digits, and short: all
// names together are one variable of the next process's environment.
func (s *Store) Put(name string, note []byte, fds ...int) error {
	if len(fds) > MaxFDs || len(note) == 0 || len(note) > maxNote {
		return fmt.Errorf("a parcel of %d descriptors and %d bytes", len(fds), len(note))
	}
	ends, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("socketpair: %w", err)
	}
	defer unix.Close(ends[0])
	defer unix.Close(ends[1])
	if err := unix.Sendmsg(ends[0], note, unix.UnixRights(fds...), nil, unix.MSG_NOSIGNAL); err != nil {
		return fmt.Errorf("packing descriptors: %w", err)
	}
	// FDPOLL=0: the other end is gone, which is no reason to drop ours.
	if err := s.notify("FDSTORE=1\nFDPOLL=0\nFDNAME="+name, ends[1]); err != nil {
		return err
	}
	return s.barrier()
}

// Remove drops a parcel.
func (s *Store) Remove(name string) error {
	return s.notify("FDSTOREREMOVE=1\nFDNAME=" + name)
}

// notify says one thing. (Not by net's sockets, which take no descriptors on a
// connected datagram.)
func (s *Store) notify(text string, fds ...int) error {
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("socket: %w", err)
	}
	defer unix.Close(fd)
	timeout := unix.NsecToTimeval(patience.Nanoseconds())
	if err := unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_SNDTIMEO, &timeout); err != nil {
		return fmt.Errorf("SO_SNDTIMEO: %w", err)
	}
	var oob []byte
	if len(fds) > 0 {
		oob = unix.UnixRights(fds...)
	}
	if err := unix.Sendmsg(fd, []byte(text), oob, &unix.SockaddrUnix{Name: s.addr}, unix.MSG_NOSIGNAL); err != nil {
		return fmt.Errorf("speaking to systemd: %w", err)
	}
	return nil
}

// barrier waits until systemd has seen to all that it was told (BARRIER=1,
// sd_notify(3)): it then closes what it was sent.
func (s *Store) barrier() error {
	r, w, err := os.Pipe()
	if err != nil {
		return err
	}
	defer r.Close()
	raw, err := w.SyscallConn()
	if err == nil {
		err2 := raw.Control(func(fd uintptr) { err = s.notify("BARRIER=1", int(fd)) })
		err = errors.Join(err, err2)
	}
	w.Close()
	if err != nil {
		return err
	}
	r.SetReadDeadline(time.Now().Add(patience))
	if _, err := r.Read(make([]byte, 1)); errors.Is(err, os.ErrDeadlineExceeded) {
		return errors.New("speaking to systemd: it does not answer")
	}
	return nil
}

// Open looks into a parcel, which stays as it is, and stays the caller's. The
// descriptors are the caller's to close, close-on-exec, in their order.
func Open(parcel int) (note []byte, fds []int, err error) {
	buf, oob := make([]byte, maxNote), make([]byte, unix.CmsgSpace(MaxFDs*4))
	n, oobn, flags, _, err := unix.Recvmsg(parcel, buf, oob, unix.MSG_PEEK|unix.MSG_DONTWAIT|unix.MSG_CMSG_CLOEXEC)
	if err != nil {
		return nil, nil, fmt.Errorf("looking into a parcel: %w", err)
	}
	messages, err := unix.ParseSocketControlMessage(oob[:oobn])
	for i := 0; err == nil && i < len(messages); i++ {
		var got []int
		got, err = unix.ParseUnixRights(&messages[i])
		fds = append(fds, got...)
	}
	if err == nil && (n == 0 || flags&(unix.MSG_TRUNC|unix.MSG_CTRUNC) != 0) {
		err = errors.New("not whole")
	}
	if err != nil {
		for _, fd := range fds {
			unix.Close(fd)
		}
		return nil, nil, fmt.Errorf("looking into a parcel: %w", err)
	}
	return buf[:n], fds, nil
}
