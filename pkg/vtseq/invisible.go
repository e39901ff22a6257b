package vtseq

// IsInvisible says whether r shows nothing itself, but is a matter of how what is beside
// it is written: joiners and non-joiners of Persian, Hindi and emoji, marks of direction,
// tags of flags, and soft hyphens, which are one column wide.
func IsInvisible(r rune) bool {
	switch r {
	case 0xad, 0x61c, 0x200c, 0x200d, 0x200e, 0x200f:
		return true
	}
	return 0xe0020 <= r && r <= 0xe007f
}
