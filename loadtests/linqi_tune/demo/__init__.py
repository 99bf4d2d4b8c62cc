"""The main job: what linqi does, shown in three minutes on one machine."""
