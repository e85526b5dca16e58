// Package canary makes markers that are put into a device's stores, and finds them
// again in any number of bytes: in every encoding, in pieces, in one pass.
//
// A search is worth what it can see, so a check shows with the same Set that a marker
// is found where it must be, before it says that it is not found where it must not be.
// What a Set cannot tell from chance it does not look for, and says so (Blind).
package canary
