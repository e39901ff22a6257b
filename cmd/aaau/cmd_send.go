package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/urfave/cli/v2"
	"golang.org/x/sys/unix"

	"github.com/AgentaaU/AaaU/pkg/client"
	"github.com/AgentaaU/AaaU/pkg/spec"
	"github.com/AgentaaU/AaaU/pkg/vtseq"
)

// maxSend bounds what is typed at a time, in bytes.
const maxSend = 16 << 20

func sendCommand() *cli.Command {
	return &cli.Command{Name: "send", Usage: "type into a session, or press keys in it, without joining it", ArgsUsage: "ID TEXT|-",
		Flags: []cli.Flag{
			&cli.BoolFlag{Name: "enter", Aliases: []string{"e"}, Usage: "paste the text, and then press Enter"},
			&cli.BoolFlag{Name: "type", Usage: "type the text as it is, byte by byte, also with --enter"},
			&cli.StringSliceFlag{Name: "key", Aliases: []string{"k"}, Usage: "instead of a text press `KEY`, such as C-c, Escape, Enter, Up, F5, M-x (repeatable)"},
		},
		Action: func(c *cli.Context) error {
			if c.IsSet("key") {
				return sendKeys(c, c.StringSlice("key"))
			}
			if c.NArg() != 2 {
				return errors.New("send needs a session and one text, or - for the standard input; or --key")
			}
			text := []byte(c.Args().Get(1))
			if string(text) == "-" {
				var err error
				if text, err = io.ReadAll(io.LimitReader(stdin, maxSend+1)); err != nil {
					return err
				}
			}
			if len(text) > maxSend {
				return fmt.Errorf("the text is longer than %d bytes", maxSend)
			}
			return with(c, func(ctx context.Context, conn *client.Conn) error {
				return sendText(ctx, conn, c.Args().First(), text, c.Bool("enter"), c.Bool("type"))
			})
		}}
}

// sendText types a text, in the way that fits it. What has control characters in it, or
// is one line, is keys: a menu's answer, an editor's command.
func sendText(ctx context.Context, conn *client.Conn, id string, text []byte, enter, typed bool) error {
	if enter {
		text = bytes.TrimSuffix(text, []byte("\n"))
	}
	switch {
	case enter && typed:
		return conn.TypeAndEnter(ctx, id, text)
	case enter:
		return conn.Submit(ctx, id, text)
	case !typed && isLines(text):
		return conn.Paste(ctx, id, text)
	}
	return conn.Send(ctx, id, text)
}

// isLines says whether a text is several lines of which the last is not ended: a program
// is to get them together.
func isLines(text []byte) bool {
	if !bytes.ContainsRune(text, '\n') || bytes.HasSuffix(text, []byte("\n")) || !utf8.Valid(text) {
		return false
	}
	return !bytes.ContainsFunc(text, func(r rune) bool { return unicode.IsControl(r) && r != '\n' && r != '\t' })
}

// sendKeys presses keys, by their names.
func sendKeys(c *cli.Context, keys []string) error {
	if c.NArg() != 1 || c.Bool("enter") || c.Bool("type") {
		return errors.New("send --key needs a session, and neither a text nor --enter: Enter is a key too")
	}
	for _, key := range keys {
		if _, err := vtseq.AppendKey(nil, key, vtseq.KeyModes{}); err != nil {
			return err
		}
	}
	return with(c, func(ctx context.Context, conn *client.Conn) error { return conn.Press(ctx, c.Args().First(), keys...) })
}

func putCommand() *cli.Command {
	return &cli.Command{Name: "put", Usage: "bring a file into a session's /tmp, and paste its path", ArgsUsage: "FILE [ID]",
		Action: func(c *cli.Context) error {
			if c.NArg() < 1 || c.NArg() > 2 {
				return errors.New("put needs a file, and perhaps a session")
			}
			file, err := sealed(c.Args().First())
			if err != nil {
				return err
			}
			defer file.Close()
			return with(c, func(ctx context.Context, conn *client.Conn) error {
				id := c.Args().Get(1)
				if id == "" {
					s, err := mine(ctx, conn)
					if err != nil {
						return err
					}
					id = s.ID
				}
				path, err := conn.Put(ctx, id, fileName(c.Args().First()), file)
				if err == nil {
					fmt.Fprintln(stdout, harmless(path))
				}
				return err
			})
		}}
}

// sealed is a copy of a file that nobody can change, nor make anybody wait for.
func sealed(name string) (*os.File, error) {
	from, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer from.Close()
	if fi, err := from.Stat(); err == nil && fi.IsDir() {
		return nil, fmt.Errorf("%s is a directory, and put takes one file: make an archive of it first, tar cf /tmp/it.tar %s", harmless(name), harmless(name))
	}
	fd, err := unix.MemfdCreate("aaau-put", unix.MFD_CLOEXEC|unix.MFD_ALLOW_SEALING)
	if err != nil {
		return nil, fmt.Errorf("memfd_create: %w", err)
	}
	to := os.NewFile(uintptr(fd), name)
	n, err := io.Copy(to, io.LimitReader(from, spec.MaxFile+1))
	if err != nil {
		err = fmt.Errorf("reading %s: %w", harmless(name), err)
	}
	if err == nil && n > spec.MaxFile {
		err = fmt.Errorf("%s is larger than %d MiB", name, spec.MaxFile>>20)
	}
	if err == nil {
		_, err = unix.FcntlInt(uintptr(fd), unix.F_ADD_SEALS, unix.F_SEAL_WRITE|unix.F_SEAL_GROW|unix.F_SEAL_SHRINK|unix.F_SEAL_SEAL)
	}
	if err != nil {
		to.Close()
		return nil, err
	}
	return to, nil
}

// fileName is what a file may be called in a session: nothing in it needs quoting.
func fileName(name string) string {
	name = strings.Map(func(r rune) rune {
		if r < 0x80 && (r >= '0' && r <= '9' || r >= 'A' && r <= 'Z' || r >= 'a' && r <= 'z' || strings.ContainsRune("._-", r)) {
			return r
		}
		return '_'
	}, filepath.Base(name))
	name = strings.TrimLeft(name[max(0, len(name)-80):], ".-")
	if name == "" {
		return "file"
	}
	return name
}
