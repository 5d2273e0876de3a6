"""TaskService: tasks on disk, and the workers that take them."""

from alknet.services.task.service import TaskService, TaskSettings

__all__ = ["TaskService", "TaskSettings"]
