"""From fMRI data and stimulus features to problems, and from results back to maps of the brain.

`build` reads a TOML file (`settings`) that names targets (`images`, `timeseries`) and features
(`features`), pairs their runs by name (`pairing`) and writes a problem folder run by run. `maps`
and `regions` go the other way. nilearn is imported when images are read or drawn, not before.
"""
