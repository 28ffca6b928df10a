//! The signing core, sans-IO: authorization pipeline, lineage, journal and key backend traits.
