// Package peer tells who is at the other end of a local stream socket.
//
// Everything here comes from the kernel, about a connection that the caller
// holds: no user database is asked and nothing that a peer says is read. It
// works equally on a descriptor that arrived from another process, which is
// what lets the launcher check for itself whom the bridge speaks for.
package peer

import (
	"errors"
	"fmt"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Peer is who opened a connection, as the kernel recorded it at connect(2).
type Peer struct {
	PID    int32
	UID    uint32
	GID    uint32   // the effective group: newgrp(1) changes it
	Groups []uint32 // the supplementary groups, as the process really had them
}

// In says whether the peer has the group, as effective or supplementary.
func (p Peer) In(gid uint32) bool {
	if p.GID == gid {
		return true
	}
	for _, g := range p.Groups {
		if g == gid {
			return true
		}
	}
	return false
}

// Of reads the credentials of the connection fd, which stays the caller's.
func Of(fd int) (Peer, error) {
	cred, err := unix.GetsockoptUcred(fd, unix.SOL_SOCKET, unix.SO_PEERCRED)
	if err != nil {
		return Peer{}, fmt.Errorf("reading SO_PEERCRED: %w", err)
	}
	if cred.Pid == 0 && cred.Uid == ^uint32(0) {
		return Peer{}, errors.New("reading SO_PEERCRED: the socket is not connected")
	}
	groups, err := peerGroups(fd)
	if err != nil {
		return Peer{}, fmt.Errorf("reading SO_PEERGROUPS: %w", err)
	}
	return Peer{PID: cred.Pid, UID: cred.Uid, GID: cred.Gid, Groups: groups}, nil
}

// peerGroups asks for SO_PEERGROUPS (socket(7)), growing the buffer as the
// kernel demands: it answers ERANGE with the size it wants.
func peerGroups(fd int) ([]uint32, error) {
	groups := make([]uint32, 32)
	for {
		size := uint32(len(groups) * 4)
		_, _, errno := unix.Syscall6(unix.SYS_GETSOCKOPT, uintptr(fd), unix.SOL_SOCKET, unix.SO_PEERGROUPS,
			uintptr(unsafe.Pointer(&groups[0])), uintptr(unsafe.Pointer(&size)), 0)
		switch {
		case errno == 0:
			return groups[:size/4], nil
		case errno == unix.ERANGE && int(size/4) > len(groups):
			groups = make([]uint32, size/4)
		default:
			return nil, errno
		}
	}
}

// siocUnixFile is SIOCUNIXFILE of <linux/un.h> (unix(7) has no word on it): an
// O_PATH descriptor of the file that the socket is bound to.
const siocUnixFile = 0x89E0

// ListenerFile returns the file of the socket that fd was accepted on: its name
// as the listener gave it, and what stands there. The end of a connection that
// *called* connect(2) has none, nor has a socketpair; and a socket that listens is
// no connection, though it names its maker as its peer. Needs CAP_NET_ADMIN; fd
// stays the caller's.
func ListenerFile(fd int) (name string, st unix.Stat_t, err error) {
	listens, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_ACCEPTCONN)
	if err != nil {
		return "", st, fmt.Errorf("reading SO_ACCEPTCONN: %w", err)
	}
	if _, err := unix.Getpeername(fd); err != nil || listens != 0 {
		return "", st, errors.New("not a connection")
	}
	sa, err := unix.Getsockname(fd)
	if err != nil {
		return "", st, fmt.Errorf("getsockname: %w", err)
	}
	un, ok := sa.(*unix.SockaddrUnix)
	if !ok || un.Name == "" || un.Name[0] != '/' {
		return "", st, errors.New("not accepted on a socket with a name in the file system")
	}
	file, err := unix.IoctlRetInt(fd, siocUnixFile)
	if err != nil {
		return "", st, fmt.Errorf("SIOCUNIXFILE: %w", err)
	}
	defer unix.Close(file)
	if err := unix.Fstat(file, &st); err != nil {
		return "", st, fmt.Errorf("fstat of the listening socket: %w", err)
	}
	return un.Name, st, nil
}

// Cookie returns the number that the kernel gives the socket, unique until the
// machine restarts (SO_COOKIE, socket(7)). The same connection has the same
// cookie in whichever process and through whichever descriptor.
func Cookie(fd int) (uint64, error) {
	c, err := unix.GetsockoptUint64(fd, unix.SOL_SOCKET, unix.SO_COOKIE)
	if err != nil {
		return 0, fmt.Errorf("reading SO_COOKIE: %w", err)
	}
	return c, nil
}

// used is the mark on a connection that Use was called for.
const used = 0xAAA0

// ErrUsed is returned by Use for a connection that was used before.
var ErrUsed = errors.New("the connection was used before")

// Use marks the connection, once: a second call fails with ErrUsed, in whichever
// process and through whichever descriptor. The mark (SO_MARK, socket(7)) is in the
// kernel, on the socket itself, and needs CAP_NET_ADMIN to be set or taken away.
func Use(fd int) error {
	mark, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_MARK)
	if err != nil {
		return fmt.Errorf("reading SO_MARK: %w", err)
	}
	if mark != 0 {
		return ErrUsed
	}
	if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_MARK, used); err != nil {
		return fmt.Errorf("setting SO_MARK: %w", err)
	}
	return nil
}

// HungUp says whether the other end is gone. One that has only shut its side for
// sending is not: it may still read.
func HungUp(fd int) (bool, error) { return polled(fd, 0) }

// Shut says whether the other end sends no more, whether or not it still reads.
func Shut(fd int) (bool, error) { return polled(fd, unix.POLLRDHUP) }

func polled(fd int, events int16) (bool, error) {
	p := []unix.PollFd{{Fd: int32(fd), Events: events}}
	for {
		_, err := unix.Poll(p, 0)
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return false, fmt.Errorf("poll: %w", err)
		}
		return p[0].Revents&(events|unix.POLLHUP|unix.POLLERR|unix.POLLNVAL) != 0, nil
	}
}
