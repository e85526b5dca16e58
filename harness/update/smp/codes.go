package smp

import (
	"fmt"

	"rigor/harness/update/stream"
)

// The groups of commands that have names for their errors.
const (
	GroupOS    = 0
	GroupImage = 1
	groupNone  = -1
)

// mgmtErrors are the codes of SMP itself, from 0.
var mgmtErrors = []string{"EOK", "EUNKNOWN", "ENOMEM", "EINVAL", "ETIMEOUT", "ENOENT", "EBADSTATE", "EMSGSIZE", "ENOTSUP", "ECORRUPT", "EBUSY",
	"EACCESSDENIED", "UNSUPPORTED_TOO_OLD", "UNSUPPORTED_TOO_NEW"}

// Codes of SMP itself that are asked for by name.
const (
	EINVAL        = 3
	EBADSTATE     = 6
	ENOTSUP       = 8
	ECORRUPT      = 9
	EACCESSDENIED = 11
	ePerUser      = 256
)

// osErrors are the codes of the OS group, from 0.
var osErrors = []string{"OK", "UNKNOWN", "INVALID_FORMAT", "QUERY_YIELDS_NO_ANSWER", "RTC_NOT_SET", "RTC_COMMAND_FAILED", "QUERY_RESPONSE_VALUE_NOT_VALID"}

// imageErrors are the codes of the image group, from 0; said is whether the
// code speaks of the image or of what may be done with it, and not of the
// device's flash, memory or state of its own.
var imageErrors = []struct {
	name string
	said bool
}{
	{"OK", false}, {"UNKNOWN", false}, {"FLASH_CONFIG_QUERY_FAIL", false}, {"NO_IMAGE", true}, {"NO_TLVS", true}, {"INVALID_TLV", true},
	{"TLV_MULTIPLE_HASHES_FOUND", true}, {"TLV_INVALID_SIZE", true}, {"HASH_NOT_FOUND", true}, {"NO_FREE_SLOT", false},
	{"FLASH_OPEN_FAILED", false}, {"FLASH_READ_FAILED", false}, {"FLASH_WRITE_FAILED", false}, {"FLASH_ERASE_FAILED", false},
	{"INVALID_SLOT", false}, {"NO_FREE_MEMORY", false}, {"FLASH_CONTEXT_ALREADY_SET", false}, {"FLASH_CONTEXT_NOT_SET", false},
	{"FLASH_AREA_DEVICE_NULL", false}, {"INVALID_PAGE_OFFSET", false}, {"INVALID_OFFSET", false}, {"INVALID_LENGTH", false},
	{"INVALID_IMAGE_HEADER", true}, {"INVALID_IMAGE_HEADER_MAGIC", true}, {"INVALID_HASH", true}, {"INVALID_FLASH_ADDRESS", true},
	{"VERSION_GET_FAILED", false}, {"CURRENT_VERSION_IS_NEWER", true}, {"IMAGE_ALREADY_PENDING", false}, {"INVALID_IMAGE_VECTOR_TABLE", true},
	{"INVALID_IMAGE_TOO_LARGE", true}, {"INVALID_IMAGE_DATA_OVERRUN", true}, {"IMAGE_CONFIRMATION_DENIED", true},
	{"IMAGE_SETTING_TEST_TO_ACTIVE_DENIED", true}, {"ACTIVE_SLOT_NOT_KNOWN", false},
}

// CodeError is an error that the device gave, on a line that was sound.
//
// It is a stream.ErrRefused only where its code speaks of what was asked for
// (EINVAL, EBADSTATE, ECORRUPT, EACCESSDENIED, and the image group's codes about
// the image): a device that is busy, has no memory or does not know the command
// has refused nothing. MCUboot gives EINVAL for a flash that it cannot write,
// too.
type CodeError struct {
	What   string // was asked for
	Group  int    // whose code it is, of SMP version 2; -1 for one of SMP itself
	Code   int64
	Reason string // as the device put it, raw; most do not
}

// Name is the code's name in Zephyr's sources, such as MGMT_ERR_EINVAL or
// IMG_MGMT_ERR_INVALID_HASH, and a number where it has none.
func (e *CodeError) Name() string {
	switch {
	case e.Code < 0:
	case e.Group == groupNone && e.Code < int64(len(mgmtErrors)):
		return "MGMT_ERR_" + mgmtErrors[e.Code]
	case e.Group == groupNone && e.Code >= ePerUser:
		return fmt.Sprintf("MGMT_ERR_EPERUSER+%d", e.Code-ePerUser)
	case e.Group == GroupOS && e.Code < int64(len(osErrors)):
		return "OS_MGMT_ERR_" + osErrors[e.Code]
	case e.Group == GroupImage && e.Code < int64(len(imageErrors)):
		return "IMG_MGMT_ERR_" + imageErrors[e.Code].name
	}
	if e.Group == groupNone {
		return fmt.Sprintf("rc %d", e.Code)
	}
	return fmt.Sprintf("group %d rc %d", e.Group, e.Code)
}

// Error names what was asked for, the code and the reason, escaped.
func (e *CodeError) Error() string {
	if e.Reason == "" {
		return fmt.Sprintf("%s: the device says %s", e.What, e.Name())
	}
	return fmt.Sprintf("%s: the device says %s, %q", e.What, e.Name(), e.Reason)
}

// Is says whether it is a refusal.
func (e *CodeError) Is(target error) bool {
	if target != stream.ErrRefused { //nolint:errorlint // Is compares one level
		return false
	}
	switch e.Group {
	case groupNone:
		return e.Code == EINVAL || e.Code == EBADSTATE || e.Code == ECORRUPT || e.Code == EACCESSDENIED
	case GroupImage:
		return e.Code >= 0 && e.Code < int64(len(imageErrors)) && imageErrors[e.Code].said
	}
	return false
}

// LineError says that there is no answer that can be believed.
type LineError struct {
	Kind error // stream.ErrNoAnswer or stream.ErrBroken
	What string
	Why  string
	Last []byte // the last bytes that came, raw; at most stream.Shown
}

// Error names what was asked for, the reason and the last bytes, escaped.
func (e *LineError) Error() string {
	saw := "nothing ever came"
	if len(e.Last) > 0 {
		saw = fmt.Sprintf("the last bytes that came %q", e.Last)
	}
	return fmt.Sprintf("%s: %v: %s; %s", e.What, e.Kind, e.Why, saw)
}

// Unwrap gives the kind.
func (e *LineError) Unwrap() error { return e.Kind }
